//! How much memory training takes, and whether the machine has it.

use trunk::EncoderConfig;

use crate::error::{Error, Result};
use crate::settings::StepSize;

/// What determines how much memory training takes.
#[derive(Clone, Copy, Debug)]
pub struct MemoryEstimate {
    /// Sequences of a step.
    pub step: StepSize,
    /// Longest sequence in tokens.
    pub max_length: usize,
    /// Whether attention keeps its scores for the backward pass.
    pub attention: AttentionMemory,
}

/// Whether attention keeps its scores for the backward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionMemory {
    /// The scores are computed again.
    Recomputed,
    /// The scores are kept.
    Kept,
}

impl MemoryEstimate {
    /// A rough number of bytes: weights, two moments and the gradients of all forward passes of a
    /// step; and either the activations of the passes that are computed side by side, or what a
    /// checkpoint is written from.
    pub fn bytes(&self, encoder: &EncoderConfig, parameters: f64) -> f64 {
        let passes = self.step.passes();
        let len = self.max_length;
        let rows = (self.step.micro * len * passes.min(rayon::current_num_threads())) as f64;

        // Per layer about 10 tensors of the hidden width, 3 of the inner width, and where attention
        // keeps them 4 of the scores.
        let scores = match self.attention {
            AttentionMemory::Recomputed => 0.0,
            AttentionMemory::Kept => 4.0 * (encoder.heads * len) as f64,
        };
        let layer = 10.0 * encoder.hidden as f64 + 3.0 * encoder.feed_forward as f64 + scores;
        // Logits and their softmax at about 15 % of the positions.
        let head = 0.15 * 4.0 * encoder.vocabulary as f64;
        let activations = rows * (encoder.layers as f64 * layer + head);

        // The moments on the host and as a file, and the weights as a file: pieces too large for
        // the memory that the passes left.
        let checkpoint = 5.0 * parameters;
        4.0 * ((3.0 + passes as f64) * parameters + activations.max(checkpoint))
    }

    /// Checks that this machine has the memory, as far as the operating system tells.
    ///
    /// # Errors
    /// When it has not.
    pub fn check(&self, encoder: &EncoderConfig) -> Result<()> {
        // The activations of one layer are needed even where the others are computed again.
        let one = EncoderConfig { layers: 1, ..encoder.clone() };
        let needed = self.bytes(&one, encoder.weights());

        match std::fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(total_memory) {
            Some(total) if needed > total => Err(Error::Memory(format!(
                "training this model needs at least {:.0} GB of memory, this machine has {:.0}: \
                 make the encoder or the batch smaller",
                needed / 1e9,
                total / 1e9
            ))),
            _ => Ok(()),
        }
    }
}

/// The bytes of memory that Linux tells in `/proc/meminfo`.
fn total_memory(meminfo: &str) -> Option<f64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    Some(1024.0 * line.split_whitespace().nth(1)?.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(total_memory("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16_777_216.0));
        assert_eq!(total_memory("nothing"), None);
    }

    #[test]
    fn more_than_a_machine_has_is_refused() {
        let step = StepSize { size: 1 << 20, micro: 1 << 20, group: 0 };
        let attention = AttentionMemory::Kept;
        let estimate = MemoryEstimate { step, max_length: 1 << 20, attention };
        let error = estimate.check(&EncoderConfig::default()).expect_err("refused").to_string();
        assert!(error.contains("make the encoder or the batch smaller"), "{error}");
    }
}
