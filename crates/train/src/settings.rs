//! The settings of a run, except for the model and the data.

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::optimizer_config::OptimizerConfig;
use crate::schedule::ScheduleConfig;

/// The settings of a run, except for the model and the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Seed of data order, masks and dropout.
    pub seed: u64,
    /// How long to train.
    pub budget: Budget,
    /// Sequences of a step.
    pub step: StepSize,
    /// How weights are updated.
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes.
    pub schedule: ScheduleConfig,
    /// Steps between evaluations; 0: only at the end.
    pub evaluate_every: u64,
    /// What is kept for resuming.
    pub checkpoint: CheckpointConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// How the sequences of a step are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepSize {
    /// Sequences of an optimizer step.
    pub size: usize,
    /// Sequences of a forward pass, at most `size`.
    pub micro: usize,
    /// Steps whose sequences are dealt out anew by length; 0 or 1: none.
    pub group: u64,
}

impl StepSize {
    /// Forward passes of a step.
    pub fn passes(&self) -> usize {
        self.size.div_ceil(self.micro)
    }
}

/// The `[batch]` table: sequences of a step.
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

/// The `[checkpoint]` table: what is kept for resuming.
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

/// The `[log]` table: what is logged.
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
