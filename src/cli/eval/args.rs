//! Flags of `eval`.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args as ClapArgs, ValueEnum};
use objective::HeldOutTask;

use crate::backend::Backend;
use crate::cli::args::refuse;
use crate::cli::data::DataArgs;
use crate::cli::output::OutputFormat;
use crate::exit::Usage;
use crate::registry::{self, Entry};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// A task that models of several objectives have.
    General(GeneralTask),
    /// A task of one objective.
    Of(&'static Entry, &'static HeldOutTask),
}

/// A task that models of several objectives have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GeneralTask {
    /// Held-out loss with fixed masks, in nats and bits, perplexity, and every metric of the
    /// objective.
    Loss,
    /// Loss and accuracy on masked tokens, words, n-grams and spans.
    Units,
    /// Pseudo-log-likelihood of each line of --input.
    Pll,
    /// The discriminator's logit of every token of each line of --input.
    RtdScores,
    /// BLiMP: accuracy by paradigm and phenomenon.
    Blimp,
    /// What the frozen encoder's layers tell a linear classifier, beside random weights: of
    /// questions about --input that need no labels, or of the labelled rows of --train and --test.
    Probe,
    /// What a model costs and how good it is, beside its teacher: parameters, size of its file,
    /// floating-point operations, latency of a row alone, rows per second in batches, metrics (of
    /// its task, or of masked tokens), agreement.
    TradeOff,
}

impl Task {
    /// Its command-line value.
    pub fn name(self) -> String {
        match self {
            Self::General(task) => {
                let value = task.to_possible_value().expect("no variant is skipped");
                value.get_name().to_owned()
            }
            Self::Of(_, task) => task.name.to_owned(),
        }
    }

    /// Whether it is this general task.
    pub fn is(self, general: GeneralTask) -> bool {
        matches!(self, Self::General(task) if task == general)
    }

    /// Whether it is the loss, or a metric, on held-out text.
    pub fn is_loss(self) -> bool {
        self.is(GeneralTask::Loss) || matches!(self, Self::Of(..))
    }
}

/// All tasks, those of the objectives among them.
fn tasks() -> impl TypedValueParser<Value = Task> {
    let general = GeneralTask::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let of_objectives =
        registry::held_out_tasks().map(|(_, task)| PossibleValue::new(task.name).help(task.about));
    let values: Vec<PossibleValue> = general.chain(of_objectives).collect();

    PossibleValuesParser::new(values).map(|name| match GeneralTask::from_str(&name, false) {
        Ok(task) => Task::General(task),
        Err(_) => {
            let (entry, task) = registry::held_out_task(&name).expect("a possible value");
            Task::Of(entry, task)
        }
    })
}

/// Flags of `eval`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A run's folder, a checkpoint in it, or a Hugging Face folder.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// What is measured.
    #[arg(long, value_parser = tasks())]
    pub task: Task,
    /// The model that --model is put beside (trade-off).
    #[arg(long, value_name = "DIR")]
    pub teacher: Option<PathBuf>,
    /// Text (files, folders or globs), sentences (pll, rtd-scores: one per line), or the folder of
    /// BLiMP's JSONL files. For tasks about text of a run: the run's validation text when left out.
    /// For trade-off of a fine-tuned model: a table of its task; its test or dev data when left
    /// out.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub input: Vec<String>,
    /// Write one JSON object per sentence to this file: its scores (pll, rtd-scores), its tokens
    /// and targets as the model sees them (tasks about held-out text), or its text and class
    /// (probe).
    #[arg(long, value_name = "FILE.jsonl")]
    pub output: Option<PathBuf>,
    /// Passages, lines of --input, or pairs of each paradigm (blimp) that are evaluated; 0: all.
    /// Training examples of each question (probe); 0: 4,000.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub limit: usize,
    /// Mask as this family does instead of as the run evaluates: bert, albert, spanbert, electra
    /// and so on.
    #[arg(long, value_name = "FAMILY")]
    pub masks: Option<String>,
    /// Seed of the choice of passages and of their masks.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Sequences per forward pass.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub batch: usize,
    #[command(flatten)]
    pub data: DataArgs,
    /// Longest sequence; the run's, or the model's positions.
    #[arg(long, value_name = "N")]
    pub max_length: Option<usize>,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t)]
    pub backend: Backend,
    /// Threads; 0: all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Folder for tokenised text.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// Checks the flags against the task.
    ///
    /// # Errors
    /// Names the first flag that cannot be, or that would do nothing.
    pub fn check(&self) -> Result<(), Usage> {
        if self.batch == 0 {
            return Err(Usage("--batch 0: must be at least 1".to_owned()));
        }

        let task = self.task;
        let of_sentences = task.is(GeneralTask::Pll) || task.is(GeneralTask::RtdScores);
        let probes = task.is(GeneralTask::Probe);
        let writes = task.is_loss() || of_sentences || probes || task.is(GeneralTask::Units);
        let masks = task.is_loss() || task.is(GeneralTask::TradeOff);
        let has_own_length = of_sentences || task.is(GeneralTask::Blimp);

        let useless = [
            ("--output", self.output.is_some() && !writes),
            ("--masks", self.masks.is_some() && !masks),
            ("--train", self.data.train.is_some() && !probes),
            ("--glue", self.data.glue.is_some() && !probes),
            ("--max-length", self.max_length.is_some() && has_own_length),
        ];
        refuse(&useless, &format!("--task {} does nothing with it", task.name()))?;

        if self.teacher.is_some() && !task.is(GeneralTask::TradeOff) {
            let message = "--teacher: only --task trade-off puts a model beside another";
            return Err(Usage(message.to_owned()));
        }

        Ok(())
    }

    /// How results are printed.
    pub fn format(&self) -> OutputFormat {
        OutputFormat::of_flag(self.json)
    }

    /// The file of --output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open_output(&self) -> Result<Option<BufWriter<File>>> {
        let open = |path: &PathBuf| -> Result<BufWriter<File>> {
            let file =
                File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(BufWriter::new(file))
        };
        self.output.as_ref().map(open).transpose()
    }
}
