//! `finetune`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};
use objective::Objective;
use serde_json::{Value, json};
use toml::Table;
use tune::{HeadStyle, Kind, Tune, TuneConfig};

use super::args::{BackendArgs, use_threads};
use super::print;
use super::report::table;
use crate::config::{Layers, RunConfig, parse};
use crate::exit::{BadInput, Usage};
use crate::finetune::{DataConfig, Encoder, Split, TaskData, judge};
use crate::model::{self, Found, Loaded};
use crate::registry;
use crate::report::statistics::{deviation, mean};
use crate::train::{self, Examples, Folder, Material, PretrainJob, Resume, evaluation_set};

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
    /// Training data: TSV, CSV or JSON lines; columns of words and tags; SQuAD's JSON.
    #[arg(long, value_name = "FILE", required_unless_present = "glue")]
    train: Option<PathBuf>,
    /// Data to choose the best checkpoint by.
    #[arg(long, value_name = "FILE")]
    dev: Option<PathBuf>,
    /// Data that the best checkpoint is measured on.
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// A task of GLUE instead of --train and --dev: CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE.
    #[arg(long, value_name = "TASK", requires = "data", conflicts_with = "train")]
    glue: Option<String>,
    /// The folder with the files of the GLUE task as downloaded.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The column or field of the sentence (classification, regression: `sentence`) or of the words (tagging: `tokens`, or
    /// the number of a column).
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// The column of the second sentence.
    #[arg(long, value_name = "COLUMN")]
    pair: Option<String>,
    /// The column of the label, score or tags.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// The file has no line that names the columns; they are called 0, 1, 2 and so on.
    #[arg(long)]
    no_header: bool,
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
    /// How the head is built: bert, roberta, electra, electra-authors, distilbert, tinybert; left out, as the model's
    /// family has it.
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
    let found = model::find(&args.model)?;
    anstream::eprintln!("model: {}", found.describe());
    use_threads(args.threads as usize)?;
    let mut runs = Vec::new();
    for seed in args.seed..args.seed + args.seeds {
        let out = if args.seeds == 1 { args.out.clone() } else { args.out.join(format!("seed-{seed}")) };
        runs.push(one(args, &found, seed, &out)?);
    }
    tell(args, &runs)
}

/// One run: what its best checkpoint reaches, by split and metric.
fn one(args: &Args, found: &Found, seed: u64, out: &Path) -> Result<Value> {
    let tokenizer = found.tokenizer()?;
    let mut config = configuration(args, found, seed)?;
    let data = config.data.clone().unwrap_or_default();
    let mut tune: TuneConfig = parse(config.objective_knobs(), "objective.")?;
    let material = TaskData::read(&data, tune.kind, Encoder::new(&tokenizer, config.corpus.max_length))?;
    tune.labels.clone_from(&material.labels);
    let mut knobs = Table::try_from(&tune)?;
    knobs.insert("name".to_owned(), Tune::NAME.into());
    config.objective = knobs;
    // Once an epoch, unless told otherwise.
    let epoch = (material.train.len() as u64).div_ceil(config.batch.size as u64).max(1);
    for every in [&mut config.evaluation.every, &mut config.checkpoint.every] {
        *every = if *every == 0 { epoch } else { *every };
    }
    let config = registry::resolve(config)?;
    let job = PretrainJob { config: &config, out, resume: &Resume::Auto, dry_run: false, json: false };
    let state = train::inspect_folder(&job)?;
    if !matches!(state, Folder::Finished(_)) {
        let mut encoder = config.encoder.clone();
        model::fit_vocabulary(&mut encoder, &tokenizer)?;
        let context = train::context(&tokenizer, Vec::new(), config.corpus.max_length, &encoder);
        let dev = material.dev.iter().flat_map(|split| split.rows.clone()).collect::<Vec<_>>();
        let valid =
            if dev.is_empty() { Vec::new() } else { evaluation_set(&Examples::Labelled(dev.into()), 0, 0, false) };
        let examples = Examples::Labelled(material.train.into());
        let (objective, device) = (Tune::new(tune.clone(), &context)?, config.backend.open()?);
        let tokenizer = tokenizer.clone();
        train::train(&job, state, Material { objective, encoder, tokenizer, examples, valid, device })?;
    }
    let best = model::find(out)?;
    let loaded: Loaded<Tune> = model::load(&best, &config.backend.open()?)?;
    let mut results = json!({"run": out, "seed": seed, "checkpoint": best.describe()});
    for split in material.dev.iter().chain(&material.test) {
        results[&split.name] = measure(&loaded, &tune, &data, split, config.evaluation.batch, out)?;
    }
    train::write_json(&out.join("task.json"), &results)?;
    Ok(results)
}

/// The metrics of a split; predictions go to files in the run's folder.
fn measure(
    loaded: &Loaded<Tune>,
    tune: &TuneConfig,
    data: &DataConfig,
    split: &Split,
    batch: usize,
    out: &Path,
) -> Result<Value> {
    let judged = judge(loaded, tune, data, split, batch)?;
    let lines: String = judged.predictions.iter().map(|line| format!("{line}\n")).collect();
    train::write_aside(&out.join(format!("predictions-{}.jsonl", split.name)), lines.as_bytes())?;
    if let Some(answers) = &judged.answers {
        train::write_json(&out.join(format!("answers-{}.json", split.name)), &answers.answers)?;
        train::write_json(&out.join(format!("nbest-{}.json", split.name)), &answers.n_best)?;
        if !answers.null_odds.is_empty() {
            train::write_json(&out.join(format!("null-odds-{}.json", split.name)), &answers.null_odds)?;
        }
    }
    let mut metrics = json!({"examples": split.rows.len()});
    for (name, value) in judged.metrics {
        metrics[name] = json!(value);
    }
    Ok(metrics)
}

/// The configuration of a run, complete but for the labels.
fn configuration(args: &Args, found: &Found, seed: u64) -> Result<RunConfig> {
    let kind = match args.task {
        Task::Classification | Task::Pair => Kind::Classification,
        Task::Regression => Kind::Regression,
        Task::Tagging => Kind::Tagging,
        Task::Qa => Kind::Question,
    };
    if args.task == Task::Pair && args.pair.is_none() && args.glue.is_none() {
        return Err(Usage("--task pair needs --pair COLUMN, the column of the second sentence".to_owned()).into());
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
    let max_length = args.max_length.unwrap_or(if kind == Kind::Question { 384 } else { 128 });
    let max_length = max_length.min(encoder.positions as u64);
    layers.set("encoder", Table::try_from(&encoder)?);
    layers.set("corpus.max_length", max_length as i64);
    layers.set("data", Table::try_from(data(args, kind))?);
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

fn data(args: &Args, kind: Kind) -> DataConfig {
    let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
    let (text, label) = match kind {
        Kind::Tagging => ("tokens", "tags"),
        Kind::Regression => ("sentence", "score"),
        _ => ("sentence", "label"),
    };
    let named = |given: &Option<String>, usual: &str| given.clone().unwrap_or_else(|| usual.to_owned());
    DataConfig {
        glue: args.glue.clone().unwrap_or_default(),
        folder: path(&args.data),
        train: path(&args.train),
        dev: path(&args.dev),
        test: path(&args.test),
        text: named(&args.text, text),
        pair: args.pair.clone().unwrap_or_default(),
        label: named(&args.label, label),
        header: !args.no_header,
        ..DataConfig::default()
    }
}

/// The head of the model's family.
fn style_of(found: &Found) -> HeadStyle {
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
fn tell(args: &Args, runs: &[Value]) -> Result<()> {
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
            let values: Vec<f64> = runs.iter().filter_map(|run| run[split][metric].as_f64()).collect();
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
    if names.is_empty() && !args.json {
        return print(&format!("{}: trained; give --dev or --test to measure it", args.out.display()));
    }
    if args.json { print(&serde_json::to_string_pretty(&summary)?) } else { print(&rows.to_string()) }
}

/// Checks that a run is of fine-tuning, for commands that need one.
///
/// # Errors
/// When it is not.
pub fn require(found: &Found) -> Result<()> {
    match found.objective()? {
        name if name == Tune::NAME => Ok(()),
        name => {
            Err(BadInput(format!("the model is of the objective `{name}`; fine-tune it first with finetune")).into())
        }
    }
}
