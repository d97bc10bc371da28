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
    /// How many times the corpus has been gone through before; [`Example::EVALUATION`] in
    /// evaluation.
    pub epoch: u64,
    /// Whole sentences of another document, about as many tokens as the longest passage has or all
    /// that there are, for objectives that ask for it; none where the text has no other document.
    pub partner: Option<Passage>,
    /// What is to be learnt about it, where the data are labelled.
    pub answer: Option<Answer>,
    /// What a teacher says about it: logits of the classes, or a score.
    pub advice: Option<Vec<f32>>,
}

/// The label of an example, whose passage then holds a whole sequence, special tokens included,
/// with a sentence for each segment.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A class by its number.
    Class(u32),
    /// A number.
    Score(f32),
    /// A class for each token of the sequence; none where nothing is asked.
    Tags(Vec<Option<u32>>),
    /// The first and the last token of a span.
    Span(u32, u32),
}

impl Example {
    /// The epoch of every evaluation: its masks never change.
    pub const EVALUATION: u64 = u64::MAX;

    /// The generator of everything that is random about this example under `purpose` (such as
    /// "mask"), keyed by (purpose, seed, epoch, number of the passage).
    pub fn rng(&self, purpose: &str) -> ChaCha8Rng {
        keyed_rng(purpose, self.seed, self.epoch, self.passage.number)
    }

    /// The key of this example's dropout masks.
    pub fn noise_key(&self) -> u64 {
        self.rng("dropout").next_u64()
    }
}
