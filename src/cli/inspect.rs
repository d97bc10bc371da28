//! `inspect`: what an objective does to the user's own text, in colour.

use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use clap::Args as ClapArgs;
use corpus::Tokenizer;
use objective::{Example, Mark, Objective, Purpose, Shown};
use serde_json::json;

use super::args::{ConfigArgs, use_threads};
use super::print;
use crate::config::{Layers, RunConfig, parse};
use crate::exit::Usage;
use crate::model::{self, Found, Loaded};
use crate::progress::Progress;
use crate::{registry, teacher, train};

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
    /// A trained run: its objective and tokenizer, and what its own generator writes, where the
    /// objective has one.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// An inspection, for the objective it is about.
#[derive(Debug)]
pub struct InspectJob<'a> {
    args: &'a Args,
    config: &'a RunConfig,
    found: Option<Found>,
}

/// Runs `inspect`.
///
/// # Errors
/// When configuration, text or tokenizer cannot be used.
pub fn run(args: Args) -> Result<()> {
    let mut layers = args.config.below(Layers::default())?;
    layers.set("corpus.valid_fraction", 0.0);
    let found = args.model.as_deref().map(model::find).transpose()?;
    if let Some(found) = &found {
        let Found::Run { config, run, .. } = found else {
            return Err(Usage(
                "inspect --model needs a run's folder or a checkpoint in it".to_owned(),
            )
            .into());
        };
        layers.set("objective", config.objective.clone());
        layers.set("encoder", toml::Table::try_from(&config.encoder)?);
        layers.set("corpus.max_length", config.corpus.max_length as i64);
        if config.teacher.exists() {
            layers.set("teacher", config.teacher.display().to_string());
        }
        layers.set("corpus.tokenizer", run.join("tokenizer.json").display().to_string());
    }
    let config = args.config.resolve(layers)?;
    use_threads(config.threads)?;
    let entry = registry::find(config.objective_name()?)?;
    (entry.inspect)(&InspectJob { args: &args, config: &config, found })
}

/// Shows what the objective `O` does.
///
/// # Errors
/// As [`run`].
pub fn inspect<O: Objective>(job: &InspectJob<'_>) -> Result<()> {
    let (args, config) = (job.args, job.config);
    let progress = Progress::default();
    let text = train::Text::prepare(config, &progress)?;
    let mut encoder = config.encoder.clone();
    model::fit_vocabulary(&mut encoder, &text.tokenizer)?;
    let mut context = text.context(config.corpus.max_length, &encoder);
    context.teacher = teacher::open(&config.teacher, &config.backend.open()?)?;
    let objective = O::new(parse(config.objective_knobs(), "objective.")?, &context)?;
    let passages = text.train.passages(&config.corpus, &objective, &progress)?;
    let order = corpus::Order::new(passages.len(), config.seed);
    let examples: Vec<Example> = (0..args.count.min(passages.len()))
        .map(|i| passages.get(order.at(args.epoch, i), config.seed, args.epoch, &objective))
        .collect();
    let batch = objective.collate(&examples, Purpose::Training);
    let shown = match &job.found {
        Some(found) => {
            let device = config.backend.open()?;
            let loaded: Loaded<O> = model::load(found, &device)?;
            objective.show_trained(&loaded.model, &batch, &device)
        }
        None => (0..examples.len()).map(|row| objective.show(&batch, row)).collect(),
    };
    let remarks: Vec<Option<String>> =
        (0..examples.len()).map(|row| objective.remark(&batch, row)).collect();
    if args.json {
        let token = |shown: &Shown| {
            let word = |id: u32| text.tokenizer.token(id).unwrap_or_default();
            let mark = format!("{:?}", shown.mark).to_lowercase();
            let label = shown.label.map(word);
            json!({"token": word(shown.token), "label": label, "mark": mark, "segment": shown.segment})
        };
        let passage = |(row, remark): (&Vec<Shown>, &Option<String>)| json!({"remark": remark, "tokens": row.iter().map(token).collect::<Vec<_>>()});
        let passages: Vec<_> = shown.iter().zip(&remarks).map(passage).collect();
        return print(&serde_json::to_string_pretty(
            &json!({"objective": O::NAME, "passages": passages}),
        )?);
    }
    print(&legend())?;
    for (row, remark) in shown.iter().zip(&remarks) {
        let targets = row.iter().filter(|shown| shown.label.is_some()).count();
        let remark = remark.as_ref().map(|remark| format!("; {remark}")).unwrap_or_default();
        print(&format!("\n{} tokens, {targets} asked for{remark}", row.len()))?;
        print(&paint(row, &text.tokenizer))?;
    }
    Ok(())
}

/// A row as text, the second segment underlined: every token, and in brackets what is asked for
/// where it differs from what is shown.
pub fn paint(row: &[Shown], tokenizer: &Tokenizer) -> String {
    let word = |id: u32| tokenizer.token(id).unwrap_or_default();
    let mut text = String::new();
    for shown in row {
        let style = style(shown.mark);
        let style = if shown.segment > 0 { style.underline() } else { style };
        let token = word(shown.token);
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
