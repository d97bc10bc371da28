//! `eval`: what a trained model can do.

mod held_out;
mod sentences;
pub mod trade_off;

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args as ClapArgs, ValueEnum};
use objective::Objective;

use super::args::{refuse, use_threads};
use crate::backend::Backend;
use crate::exit::{BadInput, Usage};
use crate::model::{self, Found, Loaded};
use crate::registry;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// Held-out loss with fixed masks, in nats and bits, perplexity, and every metric of the
    /// objective.
    Loss,
    /// Loss and accuracy on masked tokens, words, n-grams and spans.
    Units,
    /// Whether a model of `sop` tells segments in their order from swapped ones, whatever it was
    /// trained on.
    Sop,
    /// Whether a model of `sop` tells the next segment from one of another document, whatever it
    /// was trained on.
    Nsp,
    /// How well a model of `rtd` finds replaced tokens: area under the curve, precision, recall,
    /// F1.
    Rtd,
    /// Loss and accuracy of a model of `sbo` at span boundaries, by offset in the span.
    Sbo,
    /// Pseudo-log-likelihood of each line of --input.
    Pll,
    /// The discriminator's logit of every token of each line of --input.
    RtdScores,
    /// BLiMP: accuracy by paradigm and phenomenon.
    Blimp,
    /// What a model costs and how good it is, beside its teacher: parameters, size of its file,
    /// floating-point operations, latency of a row alone, rows per second in batches, metrics (of
    /// its task, or of masked tokens), agreement.
    TradeOff,
}

impl Task {
    /// Its command-line value.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
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
    /// The model that --model is put beside (trade-off).
    #[arg(long, value_name = "DIR")]
    teacher: Option<PathBuf>,
    /// Text (files, folders or globs), sentences (pll, rtd-scores: one per line), or the folder of
    /// BLiMP's JSONL files. For tasks about text of a run: the run's validation text when left out.
    /// For trade-off of a fine-tuned model: a table of its task; its test or dev data when left
    /// out.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    input: Vec<String>,
    /// Write one JSON object per sentence to this file: its scores (pll, rtd-scores), or the tokens
    /// that the model is shown and asked (tasks about held-out text).
    #[arg(long, value_name = "FILE.jsonl")]
    output: Option<PathBuf>,
    /// Passages, lines of --input, or pairs of each paradigm (blimp) that are evaluated; 0: all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: usize,
    /// Mask as this family does instead of as the run evaluates: bert, albert, spanbert, electra
    /// and so on.
    #[arg(long, value_name = "FAMILY")]
    masks: Option<String>,
    /// Seed of the choice of passages and of their masks.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Sequences per forward pass.
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch: usize,
    /// Longest sequence; the run's, or the model's positions.
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
    let job = EvalJob { args: &args, found: &found };
    let of_text = matches!(args.task, Task::Loss | Task::Sop | Task::Nsp | Task::Rtd | Task::Sbo);
    let sentences = matches!(args.task, Task::Pll | Task::RtdScores);
    let useless = [
        ("--output", args.output.is_some() && !(of_text || sentences || args.task == Task::Units)),
        ("--masks", args.masks.is_some() && !(of_text || args.task == Task::TradeOff)),
        ("--max-length", args.max_length.is_some() && (sentences || args.task == Task::Blimp)),
    ];
    refuse(&useless, &format!("--task {} does nothing with it", args.task.name()))?;
    if args.task == Task::TradeOff {
        return trade_off::run(&job);
    }
    if args.teacher.is_some() {
        return Err(Usage(
            "--teacher: only --task trade-off puts a model beside another".to_owned(),
        )
        .into());
    }
    if registry::learns_a_task(entry.name) {
        let message = "a fine-tuned model: `finetune` measures it on --dev and --test, `predict` uses it, and --task \
                       trade-off tells what it costs";
        return Err(BadInput(format!("{} is {message}", args.model.display())).into());
    }
    (entry.eval)(&job)
}

/// The file of --output.
fn open_output(args: &Args) -> Result<Option<BufWriter<File>>> {
    let open = |path: &PathBuf| -> Result<BufWriter<File>> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(BufWriter::new(file))
    };
    args.output.as_ref().map(open).transpose()
}

/// Evaluates a model of the objective `O`.
///
/// # Errors
/// As [`run`].
pub fn eval<O: Objective>(job: &EvalJob<'_>) -> Result<()> {
    let device = job.args.backend.open()?;
    let loaded: Loaded<O> = model::load(job.found, &device)?;
    match job.args.task {
        Task::Pll => sentences::pll(job.args, &loaded),
        Task::RtdScores => sentences::token_scores(job.args, &loaded),
        Task::Blimp => sentences::blimp(job.args, &loaded),
        _ => held_out::run(job, &loaded),
    }
}
