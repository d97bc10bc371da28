//! `eval`: loss, pseudo-log-likelihood and BLiMP of a model.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args as ClapArgs, ValueEnum};
use comfy_table::{Table, presets};
use corpus::{Builder, Subset};
use objective::Objective;
use serde_json::{Value, json};

use super::args::use_threads;
use super::print;
use crate::backend::Backend;
use crate::config::CorpusConfig;
use crate::eval::{blimp, loss, pll};
use crate::exit::{BadInput, Usage};
use crate::model::{self, Found, Loaded};
use crate::progress::Progress;
use crate::registry;
use crate::train::{self, Source};

/// Sentences scored together, which bounds memory.
const SENTENCES_AT_ONCE: usize = 256;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// Held-out loss with fixed masks, in nats and bits, perplexity, accuracy.
    Loss,
    /// Pseudo-log-likelihood of each line of --input.
    Pll,
    /// BLiMP: accuracy by paradigm and phenomenon.
    Blimp,
}

/// Flags of `eval`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A run's folder, a checkpoint in it, or a Hugging Face folder.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// What is measured.
    #[arg(long, value_enum)]
    task: Task,
    /// Text (loss: files, folders or globs), sentences (pll: one per line), or the folder of BLiMP's JSONL files. For
    /// the loss of a run: the run's validation text when left out.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    input: Vec<String>,
    /// Write one JSON object per sentence to this file (pll).
    #[arg(long, value_name = "FILE.jsonl")]
    output: Option<PathBuf>,
    /// Passages that are evaluated (loss) or pairs of each paradigm (blimp); 0: all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: usize,
    /// Seed of the choice of passages and of their masks.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Sequences per forward pass (loss).
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch: usize,
    /// Longest sequence (loss); the run's, or the model's positions.
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t)]
    backend: Backend,
    /// Threads; 0: all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Folder for tokenised text.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// An evaluation, for the objective whose model it is.
#[derive(Debug)]
pub struct EvalJob<'a> {
    args: &'a Args,
    found: &'a Found,
}

/// Runs `eval`.
///
/// # Errors
/// When the model or the input cannot be read, or a signal asks to stop.
pub fn run(args: Args) -> Result<()> {
    if args.batch == 0 {
        return Err(Usage("--batch 0: must be at least 1".to_owned()).into());
    }
    use_threads(args.threads)?;
    let found = model::find(&args.model)?;
    anstream::eprintln!("model: {}", found.describe());
    let entry = registry::find(found.objective()?)?;
    (entry.eval)(&EvalJob { args: &args, found: &found })
}

/// Evaluates a model of the objective `O`.
///
/// # Errors
/// As [`run`].
pub fn eval<O: Objective>(job: &EvalJob<'_>) -> Result<()> {
    let device = job.args.backend.open()?;
    let loaded: Loaded<O> = model::load(job.found, &device)?;
    match job.args.task {
        Task::Loss => eval_loss(job, &loaded),
        Task::Pll => eval_pll(job.args, &loaded),
        Task::Blimp => eval_blimp(job.args, &loaded),
    }
}

fn eval_loss<O: Objective>(job: &EvalJob<'_>, loaded: &Loaded<O>) -> Result<()> {
    let args = job.args;
    let progress = Progress::default();
    let mut config = match job.found {
        Found::Run { config, .. } => config.corpus.clone(),
        Found::HuggingFace(_) => CorpusConfig { max_length: loaded.positions, ..CorpusConfig::default() },
    };
    config.max_length = args.max_length.unwrap_or(config.max_length);
    if config.max_length > loaded.positions || config.max_length < 8 {
        let (length, positions) = (config.max_length, loaded.positions);
        return Err(BadInput(format!("--max-length {length}: must be between 8 and the model's {positions}")).into());
    }
    config.cache = args.cache.clone().unwrap_or(config.cache);
    let source = validation_source(job, &config, loaded, &progress)?;
    let passages = source.passages(&config, loaded.objective.room(), &progress)?;
    let examples = train::evaluation_set(&passages, args.limit, args.seed);
    let means = loss::evaluate(
        loaded.objective.as_ref(),
        &loaded.model,
        &examples,
        args.batch,
        &loaded.device,
        &loaded.workers,
    )?;
    let mut document = json!({
        "task": "loss",
        "model": args.model,
        "passages": examples.len(),
        "tokens": means.tokens,
        "targets": means.targets,
        "loss": means.loss,
        "bits": means.loss / std::f64::consts::LN_2,
        "perplexity": means.loss.exp(),
    });
    for (name, mean) in &means.metrics {
        document[name] = json!(mean);
    }
    report(args.json, &document)
}

/// The documents whose loss is asked for: those of --input, or the run's own validation text.
fn validation_source<O: Objective>(
    job: &EvalJob<'_>,
    config: &CorpusConfig,
    loaded: &Loaded<O>,
    progress: &Progress,
) -> Result<Source> {
    if !job.args.input.is_empty() {
        let cache = train::cache_folder(config)?;
        let text = train::text(config, &job.args.input)?;
        let corpus = Builder::new(&text, &loaded.tokenizer, &cache, progress).build()?;
        return Ok(Source { corpus: Arc::new(corpus), subset: Subset::All });
    }
    let Found::Run { config: run, .. } = job.found else {
        return Err(Usage("--task loss needs --input TEXT for a Hugging Face folder".to_owned()).into());
    };
    let mut run = run.as_ref().clone();
    run.corpus.cache.clone_from(&config.cache);
    let text = train::Text::prepare(&run, progress)?;
    text.valid.ok_or_else(|| BadInput("the run has no validation text; give --input TEXT".to_owned()).into())
}

fn eval_pll<O: Objective>(args: &Args, loaded: &Loaded<O>) -> Result<()> {
    let [input] = args.input.as_slice() else {
        return Err(Usage("--task pll needs one --input FILE with a sentence per line".to_owned()).into());
    };
    let mut output = match &args.output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Some(BufWriter::new(file))
        }
        None => None,
    };
    let mut total = json!({"task": "pll", "model": args.model, "input": input});
    let (mut sentences, mut tokens, mut words, mut pll, mut pll_l2r) = (0usize, 0usize, 0usize, 0.0, 0.0);
    for part in sentence_parts(Path::new(input))? {
        let part = part?;
        let lines: Vec<&str> = part.iter().map(String::as_str).collect();
        for (text, score) in lines.iter().zip(pll::score(loaded, &lines)?) {
            (sentences, tokens, words) = (sentences + 1, tokens + score.tokens, words + score.words);
            (pll, pll_l2r) = (pll + score.pll, pll_l2r + score.pll_l2r);
            let record = json!({
                "text": text, "pll": score.pll, "tokens": score.tokens, "pll_l2r": score.pll_l2r, "words": score.words,
            });
            match &mut output {
                Some(file) => writeln!(file, "{record}").context("cannot write the scores")?,
                None if !args.json => print(&record.to_string())?,
                None => {}
            }
        }
    }
    if let Some(mut file) = output {
        file.flush().context("cannot write the scores")?;
    }
    let count = (tokens as f64).max(1.0);
    let summary = json!({
        "sentences": sentences, "tokens": tokens, "words": words, "pll": pll, "pll_l2r": pll_l2r,
        "pppl": (-pll / count).exp(), "pppl_word": (-pll / (words as f64).max(1.0)).exp(),
    });
    for (name, value) in summary.as_object().into_iter().flatten() {
        total[name] = value.clone();
    }
    if args.json || args.output.is_some() { report(args.json, &total) } else { Ok(()) }
}

/// The lines of a file, a bounded number at a time.
fn sentence_parts(path: &Path) -> Result<impl Iterator<Item = Result<Vec<String>>>> {
    let file = File::open(path).map_err(|error| BadInput(format!("cannot read {}: {error}", path.display())))?;
    let name = path.display().to_string();
    let mut lines = BufReader::new(file).lines().enumerate();
    Ok(std::iter::from_fn(move || {
        let mut part = Vec::new();
        for (number, line) in lines.by_ref().take(SENTENCES_AT_ONCE) {
            match line {
                Ok(line) => part.push(line.trim_end_matches('\r').to_owned()),
                Err(error) => return Some(Err(BadInput(format!("{name}, line {}: {error}", number + 1)).into())),
            }
        }
        (!part.is_empty()).then_some(Ok(part))
    }))
}

fn eval_blimp<O: Objective>(args: &Args, loaded: &Loaded<O>) -> Result<()> {
    let [folder] = args.input.as_slice() else {
        return Err(Usage("--task blimp needs one --input FOLDER with BLiMP's JSONL files".to_owned()).into());
    };
    let said = |uid: &str, accuracy: &blimp::Accuracy| {
        anstream::eprintln!("{uid}: {:.3} of {} pairs", accuracy.accuracy, accuracy.pairs);
    };
    let accuracies = blimp::score(loaded, Path::new(folder), args.limit, said)?;
    if args.json {
        let mut document = json!({"task": "blimp", "model": args.model});
        for (name, value) in serde_json::to_value(&accuracies)?.as_object().into_iter().flatten() {
            document[name] = value.clone();
        }
        return report(true, &document);
    }
    let mut table = table(&["phenomenon", "accuracy"]);
    for (name, accuracy) in &accuracies.phenomena {
        table.add_row([name.clone(), format!("{:.2} %", 100.0 * accuracy)]);
    }
    let count = accuracies.paradigms.len();
    table.add_row([format!("mean over {count} paradigms"), format!("{:.2} %", 100.0 * accuracies.overall)]);
    table.add_row(["within-word left-to-right".to_owned(), format!("{:.2} %", 100.0 * accuracies.overall_l2r)]);
    print(&table.to_string())
}

/// An empty table for people.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header.to_vec());
    table
}

/// A number for people: four decimals, or in powers of ten where that would be long or nothing.
fn decimal(number: f64) -> String {
    match number.abs() {
        size if size >= 1e7 || (size > 0.0 && size < 1e-3) => format!("{number:.4e}"),
        _ => format!("{number:.4}"),
    }
}

/// Prints a flat JSON object as one document or as lines for people.
pub fn report(as_json: bool, document: &Value) -> Result<()> {
    if as_json {
        return print(&serde_json::to_string_pretty(document)?);
    }
    let mut table = table(&["quantity", "value"]);
    for (name, value) in document.as_object().into_iter().flatten() {
        let value = match value {
            Value::Number(number) if number.is_f64() => decimal(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        table.add_row([name.clone(), value]);
    }
    print(&table.to_string())
}
