//! The configuration of a run: one struct, declared once.
//!
//! Values come from, in rising order: the defaults here, a preset, a file, flags. The result is
//! written to `run.toml` in the run's folder, and that file can be run again.

mod presets;

use std::path::PathBuf;

use corpus::{Across, Annotations, DocumentBoundary};
use finetune::DataConfig;
use serde::{Deserialize, Serialize};
use train::{
    AttentionMemory, BatchConfig, Budget, CheckpointConfig, LogConfig, MemoryEstimate,
    OptimizerConfig, ScheduleConfig, Settings, StepSize,
};
use trunk::{EncoderConfig, Precision};

use crate::backend::Backend;
use crate::exit::BadInput;

pub use presets::{PRESETS, preset};

/// The file in a run's folder with the counts of the tokens of its training text.
pub const TOKEN_COUNTS: &str = "token_counts.json";

/// Everything that determines a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Seed of initial weights, data order, masks and dropout.
    pub seed: u64,
    /// A run, a checkpoint or a Hugging Face folder whose weights are the initial ones; empty:
    /// none.
    pub init: PathBuf,
    /// A run, a checkpoint or a Hugging Face folder to learn from, in objectives that need one;
    /// empty: none.
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
    /// The text field of a JSON line, or the text column of a table (CSV, TSV, Parquet).
    pub text_field: String,
    /// What is read beside the text: none, or spans (`NAME.txt.spans`, or the field `spans` of a
    /// JSON line).
    pub annotations: Annotations,
    /// A tokenizer's file or folder, or `train:MODEL:SIZE` with MODEL one of wordpiece, bpe,
    /// unigram.
    pub tokenizer: String,
    /// A file of tokens, one a line, that the tokenizer is given after its own; empty: none. With
    /// `init`, each starts as the mean of the pieces that it was before.
    pub add_tokens: PathBuf,
    /// Whether a tokenizer trained here lower-cases (WordPiece and Unigram).
    pub lowercase: bool,
    /// Longest sequence in tokens, special tokens included. BERT: 128 and 512.
    pub max_length: usize,
    /// The file of n-grams of this text that are masked together (`masking.unit = "pmi"`), which
    /// `bert-variants corpus ngrams` writes; empty: none.
    pub ngrams: PathBuf,
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
            add_tokens: PathBuf::new(),
            lowercase: true,
            max_length: 128,
            ngrams: PathBuf::new(),
            across: Across::Document,
            short_share: 0.0,
            cache: PathBuf::new(),
        }
    }
}

/// Parts of a step on the CPU. Fixed, because the rounding of a sum depends on it and must not
/// depend on the machine.
const SIDE_BY_SIDE: usize = 4;

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

    /// The sequences of a step and of its passes.
    fn step_size(&self) -> StepSize {
        let BatchConfig { size, micro, group, .. } = self.batch;
        let micro = match micro {
            0 if self.backend == Backend::Cpu => size.div_ceil(SIDE_BY_SIDE),
            0 => size,
            micro => micro.min(size),
        };
        StepSize { size, micro, group }
    }

    /// The part of the configuration that the training loop needs.
    pub fn train_settings(&self) -> Settings {
        Settings {
            seed: self.seed,
            budget: self.budget.clone(),
            step: self.step_size(),
            course: self.batch.course(),
            optimizer: self.optimizer.clone(),
            schedule: self.schedule.clone(),
            evaluate_every: self.evaluation.every,
            checkpoint: self.checkpoint.clone(),
            log: self.log.clone(),
        }
    }

    /// How much memory training takes.
    pub fn memory_estimate(&self) -> MemoryEstimate {
        let attention = match self.backend {
            Backend::Cpu => AttentionMemory::Recomputed,
            Backend::Wgpu | Backend::Ndarray | Backend::Cuda => AttentionMemory::Kept,
        };
        MemoryEstimate { step: self.step_size(), max_length: self.corpus.max_length, attention }
    }

    /// Checks that the values fit together.
    ///
    /// # Errors
    /// Names the first field that cannot be, its value, and what it should be.
    pub fn validate(&self) -> anyhow::Result<()> {
        self.encoder.validate()?;
        self.optimizer.validate()?;
        self.schedule.validate()?;
        self.budget.validate()?;
        self.corpus.validate()?;
        self.batch.validate(self.corpus.max_length)?;
        self.check_counts()?;
        self.check_combinations()?;
        Ok(())
    }

    /// Checks the keys that must be at least 1.
    fn check_counts(&self) -> Result<(), BadInput> {
        let counts = [
            ("evaluation.batch", self.evaluation.batch),
            ("checkpoint.keep", self.checkpoint.keep),
            ("log.every", self.log.every as usize),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(BadInput(format!("{name} = 0: must be at least 1"))),
            None => Ok(()),
        }
    }

    /// Checks the keys of one table against those of another.
    fn check_combinations(&self) -> Result<(), BadInput> {
        let (length, positions) = (self.corpus.max_length, self.encoder.positions);
        if length > positions {
            return Err(BadInput(format!(
                "corpus.max_length = {length}: the position table has {positions} rows; lower it, \
                 or raise encoder.positions"
            )));
        }

        for table in ["masking", "evaluation"] {
            let unit = self.objective.get(table).and_then(|masking| masking.get("unit")?.as_str());
            if unit == Some("annotated") && self.corpus.annotations == Annotations::None {
                return Err(BadInput(format!(
                    "objective.{table}.unit = \"annotated\": the text has no annotations; write \
                     corpus.annotations = \"spans\""
                )));
            }
        }

        if self.encoder.precision != Precision::F32 && self.backend != Backend::Cpu {
            return Err(BadInput(format!(
                "encoder.precision = \"bf16\": only the backend cpu computes in it, not {}; write \
                 encoder.precision = \"f32\"",
                self.backend
            )));
        }

        Ok(())
    }
}

impl CorpusConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// Names the first that cannot be.
    fn validate(&self) -> Result<(), BadInput> {
        if self.max_length < 8 {
            let length = self.max_length;
            return Err(BadInput(format!("corpus.max_length = {length}: must be at least 8")));
        }

        let shares = [
            ("corpus.valid_fraction", self.valid_fraction),
            ("corpus.short_share", self.short_share),
        ];
        match shares.into_iter().find(|(_, share)| !(0.0..1.0).contains(share)) {
            Some((name, share)) => {
                Err(BadInput(format!("{name} = {share}: must be at least 0 and below 1")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolved_configuration_is_read_back_equal() {
        let config = RunConfig::default();
        let table = toml::to_string(&config).expect("TOML").parse().expect("TOML");
        assert_eq!(settings::parse::<RunConfig>(table, "").expect("valid"), config);
    }
}
