//! A passage together with what determines its randomness.

use corpus::{Passage, keyed_rng};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A passage as it is met in one epoch of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The text.
    pub passage: Passage,
    /// Seed of the run, or of the evaluation set.
    pub seed: u64,
    /// How many times the corpus has been gone through before; [`Example::EVALUATION`] in evaluation.
    pub epoch: u64,
    /// A passage of another document, drawn by the same key, for objectives that ask for one; none where the text has no
    /// other document.
    pub partner: Option<Passage>,
}

impl Example {
    /// The epoch of every evaluation: its masks never change.
    pub const EVALUATION: u64 = u64::MAX;

    /// The generator of everything that is random about this example under `purpose` (such as "mask"), keyed by
    /// (purpose, seed, epoch, number of the passage).
    pub fn rng(&self, purpose: &str) -> ChaCha8Rng {
        keyed_rng(purpose, self.seed, self.epoch, self.passage.number)
    }

    /// The key of this example's dropout masks.
    pub fn noise_key(&self) -> u64 {
        self.rng("dropout").next_u64()
    }
}
