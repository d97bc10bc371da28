//! `finetune`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};
use objective::Objective;
use serde_json::{Value, json};
use toml::Table;
use tune::{HeadStyle, Kind, Tune, TuneConfig};

use super::args::{BackendArgs, use_threads};
use super::data::DataArgs;
use super::print;
use super::report::table;
use crate::config::{Layers, RunConfig, parse};
use crate::exit::Usage;
use crate::finetune::{Encoder, Lesson, TaskData, learn};
use crate::model::{self, Found};
use crate::report::statistics::{deviation, mean};
use crate::train::weights::Weights;

/// What is learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// The class of a sentence, or of a pair with --pair.
    Classification,
    /// The class of a pair of sentences.
    Pair,
    /// A number for a sentence or a pair.
    Regression,
    /// The tag of every word.
    Tagging,
    /// Where in a context the answer to a question stands: SQuAD 1.1 and 2.0.
    Qa,
}

/// Flags of `finetune`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A run's folder, a checkpoint in it, an imported model or a Hugging Face folder.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// What is learnt.
    #[arg(long, value_enum)]
    task: Task,
    #[command(flatten)]
    data: DataArgs,
    /// The run's folder; with several seeds the folder of the runs.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Times to go through the training data.
    #[arg(long, value_name = "N")]
    epochs: Option<f64>,
    /// Sequences per optimizer step.
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// Peak learning rate.
    #[arg(long, value_name = "X")]
    learning_rate: Option<f64>,
    /// The rate of each layer is this times that of the layer above it (ELECTRA: 0.8).
    #[arg(long, value_name = "X")]
    layer_decay: Option<f64>,
    /// Longest sequence in tokens, special tokens included.
    #[arg(long, value_name = "N")]
    max_length: Option<u64>,
    /// How the head is built: bert, roberta, electra, electra-authors, distilbert, tinybert; left
    /// out, as the model's family has it.
    #[arg(long, value_name = "STYLE")]
    head: Option<String>,
    /// Start from new weights of the same shape, to see what pretraining is worth.
    #[arg(long)]
    from_scratch: bool,
    /// Runs with different seeds: the order of the data, dropout and the head's first weights.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Threads; 0: all cores. Does not change any result on the CPU.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: u64,
    #[command(flatten)]
    backend: BackendArgs,
    /// Any key of the configuration, such as optimizer.weight_decay=0.1; may be repeated.
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// Print the results as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs `finetune`.
///
/// # Errors
/// Bad configuration or data, a model that is none, divergence, an interruption.
pub fn run(args: &Args) -> Result<()> {
    if args.seeds == 0 {
        return Err(Usage("--seeds 0: must be at least 1".to_owned()).into());
    }
    args.data.check()?;
    let found = model::find(&args.model)?;
    anstream::eprintln!("model: {}", found.describe());
    use_threads(args.threads as usize)?;
    let mut runs = Vec::new();
    for seed in args.seed..args.seed + args.seeds {
        let out =
            if args.seeds == 1 { args.out.clone() } else { args.out.join(format!("seed-{seed}")) };
        runs.push(one(args, &found, seed, &out)?);
    }
    tell(&args.out, &runs, args.json)
}

/// One run: what its best checkpoint reaches, by split and metric.
fn one(args: &Args, found: &Found, seed: u64, out: &Path) -> Result<Value> {
    let tokenizer = found.tokenizer()?;
    let mut config = configuration(args, found, seed)?;
    let data = config.data.clone().unwrap_or_default();
    let mut tune: TuneConfig = parse(config.objective_knobs(), "objective.")?;
    let material =
        TaskData::read(&data, tune.kind, Encoder::new(&tokenizer, config.corpus.max_length), &[])?;
    tune.labels.clone_from(&material.labels);
    let mut knobs = Table::try_from(&tune)?;
    knobs.insert("name".to_owned(), Tune::NAME.into());
    config.objective = knobs;
    learn::<Tune>(
        config,
        out,
        Lesson { tokenizer: &tokenizer, kind: tune.kind, material, start: Weights::new() },
    )
}

/// The configuration of a run, complete but for the labels.
fn configuration(args: &Args, found: &Found, seed: u64) -> Result<RunConfig> {
    let kind = match args.task {
        Task::Classification | Task::Pair => Kind::Classification,
        Task::Regression => Kind::Regression,
        Task::Tagging => Kind::Tagging,
        Task::Qa => Kind::Question,
    };
    if args.task == Task::Pair && args.data.pair.is_none() && args.data.glue.is_none() {
        return Err(Usage(
            "--task pair needs --pair COLUMN, the column of the second sentence".to_owned(),
        )
        .into());
    }
    let encoder = found.encoder()?;
    let mut layers = Layers::default();
    layers.set("seed", seed as i64);
    layers.set("threads", args.threads as i64);
    if !args.from_scratch {
        layers.set("init", args.model.display().to_string());
    }
    if let Some(backend) = args.backend.backend {
        layers.set("backend", backend.to_string());
    }
    let head = match &args.head {
        Some(style) => style.clone().into(),
        None => toml::Value::try_from(style_of(found))?,
    };
    let mut objective = Table::new();
    objective.insert("name".to_owned(), Tune::NAME.into());
    objective.insert("kind".to_owned(), toml::Value::try_from(kind)?);
    objective.insert("head".to_owned(), head);
    objective.insert("dropout".to_owned(), encoder.dropout.into());
    layers.set("objective", objective);
    let usual = if kind == Kind::Question { 384 } else { 128 };
    let max_length = args.max_length.unwrap_or(encoder.positions.min(usual) as u64);
    layers.set("encoder", Table::try_from(&encoder)?);
    layers.set("corpus.max_length", max_length as i64);
    layers.set("data", Table::try_from(args.data.config(kind))?);
    layers.set("budget.epochs", args.epochs.unwrap_or(3.0));
    layers.set("optimizer.learning_rate", args.learning_rate.unwrap_or(5e-5));
    layers.set("optimizer.layer_decay", args.layer_decay.unwrap_or(1.0));
    layers.set("schedule.warmup", 0.1);
    layers.set("batch.size", args.batch.unwrap_or(32) as i64);
    layers.set("evaluation.every", 0);
    layers.set("evaluation.passages", 0);
    layers.set("checkpoint.every", 0);
    layers.set("checkpoint.keep", 1);
    for assignment in &args.set {
        layers.assign(assignment)?;
    }
    Ok(layers.resolve()?)
}

/// The head of the model's family.
pub fn style_of(found: &Found) -> HeadStyle {
    match found {
        Found::Hub { model, .. } => model.head_style(),
        Found::Run { config, .. } => match config.objective_name() {
            Ok("rtd") => HeadStyle::Electra,
            _ if config.encoder.position_offset > 0 => HeadStyle::Roberta,
            _ if config.encoder.segments == 0 => HeadStyle::Distilbert,
            _ => HeadStyle::Bert,
        },
    }
}

/// Prints the results: mean and standard deviation over the seeds.
pub fn tell(out: &Path, runs: &[Value], json: bool) -> Result<()> {
    let splits = |run: &Value| -> Vec<String> {
        run.as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| value.is_object())
            .map(|(name, _)| name.clone())
            .collect()
    };
    let names = runs.first().map(splits).unwrap_or_default();
    let mut rows = table(&["data", "metric", "mean", "standard deviation", "runs"]);
    let mut summary = json!({"runs": runs});
    for split in &names {
        let metrics = runs[0][split].as_object().cloned().unwrap_or_default();
        for metric in metrics.keys().filter(|name| *name != "examples") {
            let values: Vec<f64> =
                runs.iter().filter_map(|run| run[split][metric].as_f64()).collect();
            let (mean, deviation) = (mean(&values), deviation(&values));
            rows.add_row([
                split.clone(),
                metric.clone(),
                format!("{mean:.4}"),
                deviation.map_or_else(String::new, |deviation| format!("{deviation:.4}")),
                values.len().to_string(),
            ]);
            summary["mean"][split][metric] = json!(mean);
            if let Some(deviation) = deviation {
                summary["deviation"][split][metric] = json!(deviation);
            }
        }
    }
    if names.is_empty() && !json {
        return print(&format!("{}: trained; give --dev or --test to measure it", out.display()));
    }
    if json { print(&serde_json::to_string_pretty(&summary)?) } else { print(&rows.to_string()) }
}
