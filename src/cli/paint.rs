//! Tokens in colour: what an objective did to each.

use anstyle::{AnsiColor, Style};
use corpus::Tokenizer;
use objective::{Mark, Shown};

/// A sequence as text, the second segment underlined: every token, and in brackets the target
/// where it differs from the token.
pub fn paint(row: &[Shown], tokenizer: &Tokenizer) -> String {
    let word = |id: u32| tokenizer.token(id).unwrap_or_default();
    let mut text = String::new();
    for shown in row {
        let style = style(shown.mark);
        let style = if shown.segment > 0 { style.underline() } else { style };

        let token = word(shown.token);
        let text_of_token = match shown.label {
            Some(label) if label != shown.token => format!("{token}({})", word(label)),
            Some(_) => format!("{token}(=)"),
            None => token.to_owned(),
        };
        text.push_str(&format!("{style}{text_of_token}{style:#} "));
    }
    text.trim_end().to_owned()
}

/// The meaning of the colours.
pub fn legend() -> String {
    let name = |mark: Mark, text: &str| {
        let style = style(mark);
        format!("{style}{text}{style:#}")
    };
    [
        name(Mark::Masked, "masked(original)"),
        name(Mark::Random, "random(original)"),
        name(Mark::Kept, "kept(=)"),
        name(Mark::Replaced, "sampled(original)"),
        name(Mark::Special, "[special]"),
    ]
    .join("  ")
}

fn style(mark: Mark) -> Style {
    match mark {
        Mark::Plain => Style::new(),
        Mark::Special => Style::new().dimmed(),
        Mark::Masked => Style::new().bold().fg_color(Some(AnsiColor::Cyan.into())),
        Mark::Replaced => Style::new().bold().fg_color(Some(AnsiColor::Magenta.into())),
        Mark::Random => Style::new().bold().fg_color(Some(AnsiColor::Red.into())),
        Mark::Kept => Style::new().bold().fg_color(Some(AnsiColor::Yellow.into())),
    }
}
