//! `predict`: a fine-tuned model on new text.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use eval::task::ScoredSplit;
use eval::{TaskOutputs, task};
use finetune::{DataConfig, Split, TextEncoder, read_lines, read_split};
use tasks::MissingLabel;

use super::args::use_threads;
use super::output::print;
use crate::backend::Backend;
use crate::exit::{BadInput, Usage};
use crate::model::{self, Loaded, ModelSource};
use crate::registry;

/// Flags of `predict`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The folder of a fine-tuned run, or a Hugging Face folder of a fine-tuned class.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Data as for training. Labels may be missing; where every row has one, the predictions are
    /// scored. For single sentences also a text file (.txt) with one a line, unless the training
    /// data had that ending or --text names a column.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Write one JSON object per row, sentence or question to this file: its number (`row`) or id,
    /// its text, the prediction, and the label (`gold`) where there is one.
    #[arg(long, value_name = "FILE.jsonl")]
    output: Option<PathBuf>,
    /// The column or field of the sentence or the words; left out, as in training.
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// The column of the second sentence; left out, as in training.
    #[arg(long, value_name = "COLUMN")]
    pair: Option<String>,
    /// The column of the label, score or tags; left out, as in training.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
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

/// Runs `predict`.
///
/// # Errors
/// When the model is not fine-tuned, or the input cannot be read.
pub fn run(args: &Args) -> Result<()> {
    if args.batch == 0 {
        return Err(Usage("--batch 0: must be at least 1".to_owned()).into());
    }
    use_threads(args.threads)?;

    let source = model::find(&args.model)?;
    anstream::eprintln!("model: {}", source.describe());
    let entry = registry::of_model(&source)?;
    if !entry.learns_a_task() {
        let name = entry.name;
        let message =
            format!("the model is of the objective `{name}`; fine-tune it first with finetune");
        return Err(BadInput(message).into());
    }

    let loaded = (entry.load)(&source, &args.backend.open()?)?;
    let outputs: TaskOutputs = loaded.knobs.clone().try_into()?;
    let trained = source.data().cloned().unwrap_or_default().of_file(&args.input)?;
    let data = data_config(args, &source, &trained);
    let split = read(args, &source, &loaded, &outputs, &trained, &data)?;
    let scored = task::score(loaded.model.as_ref(), &outputs, &data, &split, args.batch)?;
    tell_scores(&split, &scored);

    let text: String = scored.predictions.iter().map(|line| format!("{line}\n")).collect();
    match &args.output {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        }
        None => print(text.trim_end()),
    }
}

/// Tells how good the predictions are where all labels are known, or why that is not told.
fn tell_scores(split: &Split, scored: &ScoredSplit) {
    let ([labelled, known], all) = (split.labelled(), split.examples());
    if labelled > 0 && !split.is_labelled() {
        tracing::warn!(
            "the predictions are not scored: {} of {all} labels are missing or not among those of \
             the model",
            all - known
        );
    }
    for (name, value) in &scored.metrics {
        anstream::eprintln!("{name}: {value:.4}");
    }
}

/// How the input is read: as the data of training, unless a flag says otherwise.
fn data_config(args: &Args, source: &ModelSource, trained: &DataConfig) -> DataConfig {
    DataConfig {
        text: args.text.clone().unwrap_or_else(|| trained.text.clone()),
        pair: args.pair.clone().unwrap_or_else(|| trained.pair.clone()),
        label: args.label.clone().unwrap_or_else(|| trained.label.clone()),
        max_question: match source.data() {
            Some(trained) => trained.max_question,
            None => trained.max_question.min(source.max_length() / 2),
        },
        ..trained.clone()
    }
}

/// The rows of the input.
fn read(
    args: &Args,
    source: &ModelSource,
    loaded: &Loaded,
    outputs: &TaskOutputs,
    trained: &DataConfig,
    data: &DataConfig,
) -> Result<Split> {
    let TaskOutputs { kind, labels } = outputs;
    let encoder = TextEncoder::new(loaded.model.tokenizer(), source.max_length());
    let is_text = |path: &Path| path.extension().is_some_and(|ending| ending == "txt");
    // A .txt input is a table where the training data were a .txt table.
    let is_table = args.text.is_some()
        || args.pair.is_some()
        || !trained.pair.is_empty()
        || is_text(&trained.train);

    if is_text(&args.input) && kind.of_sequence() && !is_table {
        return Ok(read_lines(&args.input, encoder)?);
    }
    let part = ("input", MissingLabel::Allow);
    Ok(read_split(data, *kind, encoder, labels, &args.input, part)?)
}
