//! `finetune`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use checkpoint::Weights;
use clap::{Args as ClapArgs, ValueEnum};
use eval::TaskOutputs;
use finetune::{DataConfig, Finetune, FinetuneConfig, HeadStyle, TaskData, TaskKind, TextEncoder};
use hub::Family;
use objective::Objective;
use report::statistics::{deviation, mean};
use serde_json::{Value, json};
use settings::Layers;
use toml::Table;
use trunk::{EncoderConfig, PositionEmbedding};

use super::args::{BackendArgs, use_threads};
use super::data::DataArgs;
use super::output::{print, print_json, table};
use crate::config::RunConfig;
use crate::exit::Usage;
use crate::model::{self, ModelSource};
use crate::registry;
use crate::run::{TaskLesson, learn};

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
    /// How the head is built: bert, roberta, electra, electra-authors, distilbert, tinybert,
    /// modernbert; left out, as the model's family has it.
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
    let source = model::find(&args.model)?;
    anstream::eprintln!("model: {}", source.describe());
    use_threads(args.threads as usize)?;

    let mut runs = Vec::new();
    for seed in args.seed..args.seed + args.seeds {
        let out =
            if args.seeds == 1 { args.out.clone() } else { args.out.join(format!("seed-{seed}")) };
        runs.push(run_one(args, &source, seed, &out)?);
    }
    print_results(&args.out, &runs, args.json)
}

/// One run: the scores of its best checkpoint, by split and metric.
fn run_one(args: &Args, source: &ModelSource, seed: u64, out: &Path) -> Result<Value> {
    let tokenizer = source.tokenizer()?;
    let mut config = configuration(args, source, seed)?;
    let mut finetune: FinetuneConfig = settings::parse(config.objective_knobs(), "objective.")?;
    let encoder = TextEncoder::new(&tokenizer, config.corpus.max_length);
    let data = read_data(&config.data.clone().unwrap_or_default(), finetune.kind, encoder, source)?;
    finetune.labels.clone_from(&data.labels);
    let outputs = TaskOutputs { kind: finetune.kind, labels: data.labels.clone() };

    let mut knobs = Table::try_from(&finetune)?;
    knobs.insert("name".to_owned(), Finetune::NAME.into());
    config.objective = knobs;
    let lesson = TaskLesson { tokenizer: &tokenizer, outputs, data, initial: Weights::new() };
    learn::<Finetune>(config, out, lesson)
}

/// The data of the task. Their classes are numbered as in the model where it has the same ones, so
/// that its output layer keeps its meaning.
fn read_data(
    config: &DataConfig,
    kind: TaskKind,
    encoder: TextEncoder<'_>,
    source: &ModelSource,
) -> Result<TaskData> {
    let data = TaskData::read(config, kind, encoder, &[])?;
    let model =
        source.knobs::<Finetune>().and_then(|knobs| knobs.get("labels")?.clone().try_into().ok());
    let model: Vec<String> = model.unwrap_or_default();

    let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
    if model != data.labels && sorted(&model) == sorted(&data.labels) {
        return Ok(TaskData::read(config, kind, encoder, &model)?);
    }
    Ok(data)
}

/// The configuration of a run, complete but for the labels.
fn configuration(args: &Args, source: &ModelSource, seed: u64) -> Result<RunConfig> {
    let kind = match args.task {
        Task::Classification | Task::Pair => TaskKind::Classification,
        Task::Regression => TaskKind::Regression,
        Task::Tagging => TaskKind::Tagging,
        Task::Qa => TaskKind::Question,
    };
    if args.task == Task::Pair && args.data.pair.is_none() && args.data.glue.is_none() {
        let message = "--task pair needs --pair COLUMN, the column of the second sentence";
        return Err(Usage(message.to_owned()).into());
    }

    let encoder = source.encoder()?;
    let mut layers = Layers::default();
    layers.set("seed", seed as i64);
    layers.set("threads", args.threads as i64);
    if !args.from_scratch {
        layers.set("init", args.model.display().to_string());
    }
    if let Some(backend) = args.backend.backend {
        layers.set("backend", backend.to_string());
    }
    layers.set("objective", objective_table(args, source, kind, &encoder)?);

    let usual = if kind == TaskKind::Question { 384 } else { 128 };
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

/// The `[objective]` table, but for the labels.
fn objective_table(
    args: &Args,
    source: &ModelSource,
    kind: TaskKind,
    encoder: &EncoderConfig,
) -> Result<Table> {
    let head = match &args.head {
        Some(style) => style.clone(),
        None => head_style(source)?.name().to_owned(),
    };

    Ok(Table::from_iter([
        ("name".to_owned(), Finetune::NAME.into()),
        ("kind".to_owned(), toml::Value::try_from(kind)?),
        ("head".to_owned(), head.into()),
        ("dropout".to_owned(), encoder.dropout.into()),
    ]))
}

/// The head of the model's family.
///
/// # Errors
/// When the run's configuration names no known objective.
pub fn head_style(source: &ModelSource) -> Result<HeadStyle> {
    let config = match source {
        ModelSource::Hub { model, .. } => return Ok(HeadStyle::of_hub(model)),
        ModelSource::Run { config, .. } => config,
    };
    let encoder = &config.encoder;
    Ok(match registry::of_model(source)?.family {
        _ if encoder.position_embedding == PositionEmbedding::Rotary => HeadStyle::Modernbert,
        Some(Family::Electra) => HeadStyle::Electra,
        _ if encoder.position_offset > 0 => HeadStyle::Roberta,
        _ if encoder.segments == 0 => HeadStyle::Distilbert,
        _ => HeadStyle::Bert,
    })
}

/// Prints the results: mean and standard deviation over the seeds.
///
/// # Errors
/// When stdout cannot be written.
pub fn print_results(out: &Path, runs: &[Value], json: bool) -> Result<()> {
    let splits = runs.first().map(split_names).unwrap_or_default();
    if splits.is_empty() && !json {
        return print(&format!("{}: trained; give --dev or --test to measure it", out.display()));
    }

    let mut rows = table(&["data", "metric", "mean", "standard deviation", "runs"]);
    let mut summary = json!({"runs": runs});
    for split in &splits {
        let metrics = runs[0][split].as_object().cloned().unwrap_or_default();
        for metric in metrics.keys().filter(|name| *name != "examples") {
            let values: Vec<f64> =
                runs.iter().filter_map(|run| run[split][metric].as_f64()).collect();
            if values.is_empty() {
                let undefined = "undefined".to_owned();
                rows.add_row([split.clone(), metric.clone(), undefined, String::new(), "0".into()]);
                continue;
            }
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

    if json { print_json(&summary) } else { print(&rows.to_string()) }
}

/// The splits that a run was measured on.
fn split_names(run: &Value) -> Vec<String> {
    let fields = run.as_object().into_iter().flatten();
    fields.filter(|(_, value)| value.is_object()).map(|(name, _)| name.clone()).collect()
}
