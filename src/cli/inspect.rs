//! `inspect`: what an objective does to the user's own text, in colour.

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use clap::Args as ClapArgs;
use corpus::Tokenizer;
use objective::{Example, Mark, Objective, Purpose, Shown};
use serde_json::json;

use super::args::{ConfigArgs, use_threads};
use super::print;
use crate::config::{RunConfig, parse};
use crate::progress::Progress;
use crate::registry;
use crate::train;

/// Flags of `inspect`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// How many passages are shown.
    #[arg(long, value_name = "N", default_value_t = 5)]
    count: u64,
    /// The epoch whose draws are shown; masks differ from epoch to epoch.
    #[arg(long, value_name = "N", default_value_t = 0)]
    epoch: u64,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// An inspection, for the objective it is about.
#[derive(Debug)]
pub struct InspectJob<'a> {
    args: &'a Args,
    config: &'a RunConfig,
}

/// Runs `inspect`.
///
/// # Errors
/// When configuration, text or tokenizer cannot be used.
pub fn run(args: Args) -> Result<()> {
    let mut layers = args.config.below()?;
    layers.set("corpus.valid_fraction", 0.0);
    let config = args.config.resolve(layers)?;
    use_threads(config.threads)?;
    let entry = registry::find(config.objective_name()?)?;
    (entry.inspect)(&InspectJob { args: &args, config: &config })
}

/// Shows what the objective `O` does.
///
/// # Errors
/// As [`run`].
pub fn inspect<O: Objective>(job: &InspectJob<'_>) -> Result<()> {
    let (args, config) = (job.args, job.config);
    let progress = Progress::default();
    let text = train::Text::prepare(config, &progress)?;
    let context = text.context(config.corpus.max_length);
    let objective = O::new(parse(config.objective_knobs(), "objective.")?, &context)?;
    let passages = text.train.passages(&config.corpus, objective.room(), &progress)?;
    let order = corpus::Order::new(passages.len(), config.seed);
    let examples: Vec<Example> = (0..args.count.min(passages.len()))
        .map(|i| Example { passage: passages.get(order.at(args.epoch, i)), seed: config.seed, epoch: args.epoch })
        .collect();
    let shown = show_all(&objective, &examples);
    if args.json {
        let token = |shown: &Shown| {
            let word = |id: u32| text.tokenizer.token(id).unwrap_or_default();
            let mark = format!("{:?}", shown.mark).to_lowercase();
            json!({"token": word(shown.token), "label": shown.label.map(word), "mark": mark})
        };
        let passages: Vec<_> = shown.iter().map(|row| row.iter().map(token).collect::<Vec<_>>()).collect();
        return print(&serde_json::to_string_pretty(&json!({"objective": O::NAME, "passages": passages}))?);
    }
    print(&legend())?;
    for row in &shown {
        let targets = row.iter().filter(|shown| shown.label.is_some()).count();
        print(&format!("\n{} tokens, {targets} asked for", row.len()))?;
        print(&paint(row, &text.tokenizer))?;
    }
    Ok(())
}

/// The training examples as the model sees them.
pub fn show_all<O: Objective>(objective: &O, examples: &[Example]) -> Vec<Vec<Shown>> {
    let batch = objective.collate(examples, Purpose::Training);
    (0..examples.len()).map(|row| objective.show(&batch, row)).collect()
}

/// A row as text: every token, and in brackets what is asked for where it differs from what is shown.
pub fn paint(row: &[Shown], tokenizer: &Tokenizer) -> String {
    let word = |id: u32| tokenizer.token(id).unwrap_or_default();
    let mut text = String::new();
    for shown in row {
        let (style, token) = (style(shown.mark), word(shown.token));
        let asked = match shown.label {
            Some(label) if label != shown.token => format!("{token}({})", word(label)),
            Some(_) => format!("{token}(=)"),
            None => token.to_owned(),
        };
        text.push_str(&format!("{style}{asked}{style:#} "));
    }
    text.trim_end().to_owned()
}

/// What the colours mean.
pub fn legend() -> String {
    let name = |mark: Mark, text: &str| {
        let style = style(mark);
        format!("{style}{text}{style:#}")
    };
    [
        name(Mark::Masked, "masked(original)"),
        name(Mark::Random, "random(original)"),
        name(Mark::Kept, "kept(=)"),
        name(Mark::Special, "[special]"),
    ]
    .join("  ")
}

fn style(mark: Mark) -> Style {
    match mark {
        Mark::Plain => Style::new(),
        Mark::Special => Style::new().dimmed(),
        Mark::Masked => Style::new().bold().fg_color(Some(AnsiColor::Cyan.into())),
        Mark::Random => Style::new().bold().fg_color(Some(AnsiColor::Red.into())),
        Mark::Kept => Style::new().bold().fg_color(Some(AnsiColor::Yellow.into())),
    }
}
