//! The settings of a run, except for the model and the data.

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::error::{Error, Result};
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
    /// How steps change over the budget.
    pub course: CourseConfig,
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

/// How steps change over the budget.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CourseConfig {
    /// Sequences of the first step, where the size grows.
    pub initial_size: usize,
    /// Share of the budget over which the size grows; 0: it does not.
    pub ramp: f64,
    /// Longest sequences from shares of the budget on, in ascending order.
    pub lengths: Vec<(f64, usize)>,
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
    /// Sequences of the first step, where the size grows; 0: it does not. Cramming: from few to
    /// 8,192 in 60 % of the budget.
    pub initial_size: usize,
    /// Share of the budget over which the size grows from `initial_size` to `size`, in a line.
    pub ramp: f64,
    /// Longest sequences, special tokens included, from shares of the budget on: `[[0.0, 64], [0.7,
    /// 128]]`. A longer passage is cut into sequences of like length, so that a step has as many
    /// tokens as before. GPT-BERT: 128, from 0.7 on 256, from 0.9 on 512.
    pub lengths: Vec<(f64, usize)>,
}

impl Default for BatchConfig {
    fn default() -> Self {
        let lengths = Vec::new();
        Self { size: 32, micro: 0, group: 0, initial_size: 0, ramp: 0.0, lengths }
    }
}

impl BatchConfig {
    /// How steps change over the budget.
    pub fn course(&self) -> CourseConfig {
        let Self { initial_size, ramp, ref lengths, .. } = *self;
        CourseConfig { initial_size, ramp, lengths: lengths.clone() }
    }

    /// Checks the values, given the longest sequence of the run.
    ///
    /// # Errors
    /// Names the first that cannot be.
    pub fn validate(&self, max_length: usize) -> Result<()> {
        let error = |what: String| Err(Error::Data(format!("batch.{what}")));
        if self.size == 0 {
            return error("size = 0: must be at least 1".to_owned());
        }

        if !(0.0..=1.0).contains(&self.ramp) {
            return error(format!("ramp = {}: must be a share, between 0 and 1", self.ramp));
        }
        if self.initial_size > self.size {
            let reason = format!("must be at most batch.size = {}", self.size);
            return error(format!("initial_size = {}: {reason}", self.initial_size));
        }
        if (self.initial_size > 0) != (self.ramp > 0.0) {
            return error("initial_size and batch.ramp need each other".to_owned());
        }
        if self.group > 1 && (self.initial_size > 0 || !self.lengths.is_empty()) {
            return error("group needs steps of one size and length".to_owned());
        }

        let ascends = self.lengths.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let shares = self.lengths.iter().all(|(share, _)| (0.0..1.0).contains(share));
        if !(ascends && shares) {
            return error("lengths: shares must ascend from 0 to below 1".to_owned());
        }
        match self.lengths.iter().find(|(_, length)| !(8..=max_length).contains(length)) {
            Some((_, length)) => error(format!(
                "lengths: {length} is not between 8 and corpus.max_length = {max_length}"
            )),
            None => Ok(()),
        }
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
