//! What a run is told: one struct, declared once.
//!
//! Values come from, in rising order: the defaults here, a preset, a file, flags. The result is
//! written to `run.toml` in the run's folder, and that file can be run again.

mod layers;
mod presets;

use std::path::PathBuf;

use corpus::{Across, Annotations, DocumentBoundary};
use serde::{Deserialize, Serialize};
use trunk::{EncoderConfig, Precision};

use crate::backend::Backend;
use crate::exit::BadInput;
use crate::finetune::DataConfig;
use crate::train::budget::Budget;
use crate::train::optimizer::OptimizerConfig;
use crate::train::schedule::ScheduleConfig;

pub use layers::{Layers, differing_keys, parse};
pub use presets::{PRESETS, preset};

/// Everything that determines a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Seed of initial weights, data order, masks and dropout.
    pub seed: u64,
    /// A run, a checkpoint or a Hugging Face folder whose weights are the initial ones; empty:
    /// none.
    pub init: PathBuf,
    /// A run, a checkpoint or a Hugging Face folder that is learnt from, in objectives that ask for
    /// one; empty: none.
    pub teacher: PathBuf,
    /// Where to compute.
    pub backend: Backend,
    /// Threads of the CPU backend and of data preparation; 0: all cores. Does not change any result
    /// on the CPU.
    pub threads: usize,
    /// The objective's `name` and its knobs.
    pub objective: toml::Table,
    /// Shape of the encoder.
    pub encoder: EncoderConfig,
    /// Text, tokens and passages.
    pub corpus: CorpusConfig,
    /// Labelled data, in runs that learn them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<DataConfig>,
    /// How long to train.
    pub budget: Budget,
    /// Sequences of a step.
    pub batch: BatchConfig,
    /// How weights are updated.
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes.
    pub schedule: ScheduleConfig,
    /// What is evaluated while training.
    pub evaluation: EvaluationConfig,
    /// What is kept for resuming.
    pub checkpoint: CheckpointConfig,
    /// What is logged.
    pub log: LogConfig,
}

impl Default for RunConfig {
    fn default() -> Self {
        let mut objective = toml::Table::new();
        objective.insert("name".to_owned(), "mlm".into());
        Self {
            seed: 1,
            init: PathBuf::new(),
            teacher: PathBuf::new(),
            backend: Backend::default(),
            threads: 0,
            objective,
            encoder: EncoderConfig::default(),
            corpus: CorpusConfig::default(),
            data: None,
            budget: Budget::default(),
            batch: BatchConfig::default(),
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            evaluation: EvaluationConfig::default(),
            checkpoint: CheckpointConfig::default(),
            log: LogConfig::default(),
        }
    }
}

/// Text, tokens and passages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorpusConfig {
    /// Files, folders and globs of the training text.
    pub paths: Vec<String>,
    /// Files, folders and globs of the validation text; empty: a share of the training documents is
    /// held out.
    pub valid: Vec<String>,
    /// Share of the training documents that is held out when there is no validation text. 0: none.
    pub valid_fraction: f64,
    /// What separates documents in a text file.
    pub document: DocumentBoundary,
    /// The text field of a JSON line or column of a Parquet file.
    pub text_field: String,
    /// What is read beside the text: none, or spans (`NAME.txt.spans`, or the field `spans` of a
    /// JSON line).
    pub annotations: Annotations,
    /// A tokenizer's file or folder, or `train:MODEL:SIZE` with MODEL one of wordpiece, bpe,
    /// unigram.
    pub tokenizer: String,
    /// Whether a tokenizer trained here lower-cases (WordPiece and Unigram).
    pub lowercase: bool,
    /// Longest sequence in tokens, special tokens included. BERT: 128 and 512.
    pub max_length: usize,
    /// Whether a passage may cross from one document into the next.
    pub across: Across,
    /// Share of passages that aim at a random shorter length. BERT, ALBERT: 0.1.
    pub short_share: f64,
    /// Folder of tokenised corpora and trained tokenizers; empty: the user's cache folder. Does not
    /// change any result.
    pub cache: PathBuf,
}

impl Default for CorpusConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            valid: Vec::new(),
            valid_fraction: 0.05,
            document: DocumentBoundary::default(),
            text_field: "text".to_owned(),
            annotations: Annotations::None,
            tokenizer: "train:wordpiece:8192".to_owned(),
            lowercase: true,
            max_length: 128,
            across: Across::Document,
            short_share: 0.0,
            cache: PathBuf::new(),
        }
    }
}

/// Parts of a step on the CPU. Fixed, because the rounding of a sum depends on it and must not
/// depend on the machine.
const SIDE_BY_SIDE: usize = 4;

/// Sequences of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// Sequences per optimizer step. BERT: 256.
    pub size: usize,
    /// Sequences per forward pass; gradients are accumulated over a step. 0: a quarter of them on
    /// the CPU, where the passes run side by side on its cores, and all of them elsewhere.
    pub micro: usize,
    /// Steps whose sequences are dealt out anew by length, so that a step has sequences of like
    /// length and little is padded; 0 or 1: none (DistilBERT's `group_by_size`).
    pub group: u64,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { size: 32, micro: 0, group: 0 }
    }
}

/// What is evaluated while training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// Steps between evaluations; 0: only at the end.
    pub every: u64,
    /// Passages of the validation set that are evaluated, always the same ones; 0: all.
    pub passages: usize,
    /// Sequences per forward pass.
    pub batch: usize,
    /// Seed of the choice of passages and of their masks. Not the run's, so that runs can be
    /// compared.
    pub seed: u64,
    /// Folder of BLiMP's JSONL files to score at every evaluation; empty: none.
    pub blimp: PathBuf,
    /// Pairs of each BLiMP paradigm that are scored while training; 0: all.
    pub blimp_pairs: usize,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            every: 200,
            passages: 512,
            batch: 32,
            seed: 0,
            blimp: PathBuf::new(),
            blimp_pairs: 100,
        }
    }
}

/// What is kept for resuming.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Steps between checkpoints; 0: only at the end and when interrupted.
    pub every: u64,
    /// How many of the last checkpoints are kept, besides the best.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 200, keep: 2 }
    }
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Steps between records in `metrics.jsonl`.
    pub every: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { every: 10 }
    }
}

impl RunConfig {
    /// The name of the objective.
    ///
    /// # Errors
    /// When the table has none.
    pub fn objective_name(&self) -> Result<&str, BadInput> {
        let name = self.objective.get("name").and_then(toml::Value::as_str);
        name.ok_or_else(|| {
            BadInput(
                "objective.name is missing; write for example objective.name = \"mlm\"".to_owned(),
            )
        })
    }

    /// The objective's knobs, without its name.
    pub fn objective_knobs(&self) -> toml::Table {
        let mut knobs = self.objective.clone();
        knobs.remove("name");
        knobs
    }

    /// Sequences per forward pass.
    pub fn micro_batch(&self) -> usize {
        match self.batch.micro {
            0 if self.backend == Backend::Cpu => self.batch.size.div_ceil(SIDE_BY_SIDE),
            0 => self.batch.size,
            micro => micro.min(self.batch.size),
        }
    }

    /// Checks that the values fit together.
    ///
    /// # Errors
    /// Names the first field that cannot be, its value, and what it should be.
    pub fn validate(&self) -> anyhow::Result<()> {
        self.encoder.validate()?;
        let bad = |message: String| Err(BadInput(message).into());
        self.optimizer.validate().map_err(|e| BadInput(format!("{e}")))?;
        self.schedule.validate().map_err(|e| BadInput(format!("{e}")))?;
        self.budget.validate().map_err(|e| BadInput(format!("{e}")))?;
        let corpus = &self.corpus;
        if corpus.max_length > self.encoder.positions {
            return bad(format!(
                "corpus.max_length = {}: the position table has {} rows; lower it, or raise encoder.positions",
                corpus.max_length, self.encoder.positions
            ));
        }
        if corpus.max_length < 8 {
            return bad(format!("corpus.max_length = {}: must be at least 8", corpus.max_length));
        }
        for (name, share) in [
            ("corpus.valid_fraction", corpus.valid_fraction),
            ("corpus.short_share", corpus.short_share),
        ] {
            if !(0.0..1.0).contains(&share) {
                return bad(format!("{name} = {share}: must be at least 0 and below 1"));
            }
        }
        for (name, value) in [
            ("batch.size", self.batch.size),
            ("evaluation.batch", self.evaluation.batch),
            ("checkpoint.keep", self.checkpoint.keep),
        ] {
            if value == 0 {
                return bad(format!("{name} = 0: must be at least 1"));
            }
        }
        for table in ["masking", "evaluation"] {
            let unit = self.objective.get(table).and_then(|masking| masking.get("unit")?.as_str());
            if unit == Some("annotated") && self.corpus.annotations == Annotations::None {
                return bad(format!(
                    "objective.{table}.unit = \"annotated\": the text has no annotations; write corpus.annotations = \"spans\""
                ));
            }
        }
        if self.encoder.precision != Precision::F32 && self.backend != Backend::Cpu {
            return bad(format!(
                "encoder.precision = \"bf16\": only the backend cpu computes in it, not {}; write encoder.precision = \"f32\"",
                self.backend
            ));
        }
        if self.log.every == 0 {
            return bad("log.every = 0: must be at least 1".to_owned());
        }
        Ok(())
    }
}
