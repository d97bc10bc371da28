//! `predict`: a fine-tuned model on new text.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use objective::Objective;
use serde::Deserialize;
use tune::Kind;

use super::args::use_threads;
use super::print;
use crate::backend::Backend;
use crate::exit::{BadInput, Usage};
use crate::finetune::{DataConfig, Encoder, judge, read_lines, read_split};
use crate::model::{self, Found, Loaded};
use crate::registry;

/// Flags of `predict`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The folder of a fine-tuned run, or a Hugging Face folder of a fine-tuned class.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Data as for training, without labels or with labels that are not looked at; for single
    /// sentences also a text file (.txt) with one a line, unless the training data had that ending
    /// or --text names a column.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Write one JSON object per row, sentence or question to this file.
    #[arg(long, value_name = "FILE.jsonl")]
    output: Option<PathBuf>,
    /// The column or field of the sentence or the words; left out, as in training.
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// The column of the second sentence; left out, as in training.
    #[arg(long, value_name = "COLUMN")]
    pair: Option<String>,
    /// Sequences per forward pass.
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch: usize,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t)]
    backend: Backend,
    /// Threads; 0: all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

/// A prediction, for the objective whose model it is.
#[derive(Debug)]
pub struct PredictJob<'a> {
    args: &'a Args,
    found: &'a Found,
}

/// Runs `predict`.
///
/// # Errors
/// When the model is not fine-tuned, or the input cannot be read.
pub fn run(args: &Args) -> Result<()> {
    if args.batch == 0 {
        return Err(Usage("--batch 0: must be at least 1".to_owned()).into());
    }
    use_threads(args.threads)?;
    let found = model::find(&args.model)?;
    anstream::eprintln!("model: {}", found.describe());
    let name = found.objective()?;
    if !registry::learns_a_task(name) {
        let message =
            format!("the model is of the objective `{name}`; fine-tune it first with finetune");
        return Err(BadInput(message).into());
    }
    (registry::find(name)?.predict)(&PredictJob { args, found: &found })
}

/// Predicts with a model of the objective `O`.
///
/// # Errors
/// As [`run`].
pub fn predict<O: Objective>(job: &PredictJob<'_>) -> Result<()> {
    let (args, found) = (job.args, job.found);
    let loaded: Loaded<O> = model::load(found, &args.backend.open()?)?;
    let Predicts { kind, labels } = loaded.knobs.clone().try_into()?;
    let trained = found.data().cloned().unwrap_or_default().of_file(&args.input)?;
    let is_text = |path: &Path| path.extension().is_some_and(|ending| ending == "txt");
    // Where the training data were a table with this ending, so is the input.
    let table = args.text.is_some()
        || args.pair.is_some()
        || !trained.pair.is_empty()
        || is_text(&trained.train);
    let data = DataConfig {
        text: args.text.clone().unwrap_or_else(|| trained.text.clone()),
        pair: args.pair.clone().unwrap_or_else(|| trained.pair.clone()),
        label: String::new(),
        max_question: match found.data() {
            Some(trained) => trained.max_question,
            None => trained.max_question.min(found.max_length() / 2),
        },
        ..trained
    };
    let encoder = Encoder::new(&loaded.tokenizer, found.max_length());
    let split = match is_text(&args.input) && kind.of_sequence() && !table {
        true => read_lines(&args.input, encoder)?,
        false => read_split(&data, kind, encoder, &labels, "input", &args.input)?,
    };
    let judged = judge(&loaded, (kind, &labels), &data, &split, args.batch)?;
    let text: String = judged.predictions.iter().map(|line| format!("{line}\n")).collect();
    match &args.output {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        }
        None => print(text.trim_end()),
    }
}

/// What every model that learnt a task knows.
#[derive(Deserialize)]
pub struct Predicts {
    /// What is predicted.
    pub kind: Kind,
    /// Names of classes or tags.
    pub labels: Vec<String>,
}
