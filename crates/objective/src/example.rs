//! A passage or a labelled sequence, together with what determines its randomness.

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
    /// The number of earlier passes over the corpus; [`Example::EVALUATION`] in evaluation.
    pub epoch: u64,
    /// Whole sentences of another document, for objectives that ask for them: about as many tokens
    /// as the longest passage has, or the whole document; none where the text has no other
    /// document.
    pub partner: Option<Passage>,
    /// The label, where the data are labelled.
    pub label: Option<Label>,
    /// A teacher's logits of the classes, or its score.
    pub teacher_logits: Option<Vec<f32>>,
}

/// The label of an example, whose passage then holds a whole sequence, special tokens included,
/// with a sentence for each segment.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// A class by its number.
    Class(u32),
    /// A number.
    Score(f32),
    /// A class for each token of the sequence; none where nothing is to be predicted.
    Tags(Vec<Option<u32>>),
    /// The first and the last token of a span.
    Span(u32, u32),
}

impl Example {
    /// The epoch of every evaluation: its masks never change.
    pub const EVALUATION: u64 = u64::MAX;

    /// The random generator of this example for `purpose` (such as "mask"), keyed by (purpose,
    /// seed, epoch, number of the passage).
    pub fn rng(&self, purpose: &str) -> ChaCha8Rng {
        keyed_rng(purpose, self.seed, self.epoch, self.passage.number)
    }

    /// The key of this example's dropout masks.
    pub fn noise_key(&self) -> u64 {
        self.rng("dropout").next_u64()
    }
}

/// A sequence with its label, such as a row of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledSequence {
    /// The tokens, special tokens included.
    pub tokens: Vec<u32>,
    /// The position at which the second segment begins.
    pub second: Option<u32>,
    /// The label, where it is known.
    pub label: Option<Label>,
    /// A teacher's logits of the classes, or its score.
    pub teacher_logits: Option<Vec<f32>>,
}

impl LabelledSequence {
    /// The sequence as example `number` in `epoch` of the run with `seed`.
    pub fn example(&self, number: u64, seed: u64, epoch: u64) -> Example {
        let segments = std::iter::once(0).chain(self.second).collect();
        Example {
            passage: Passage::of_words(number, self.tokens.clone(), segments),
            seed,
            epoch,
            partner: None,
            label: self.label.clone(),
            teacher_logits: self.teacher_logits.clone(),
        }
    }

    /// The examples of an evaluation of `rows`, in their order.
    pub fn evaluation_set(rows: &[Self]) -> Vec<Example> {
        let numbered = rows.iter().zip(0..);
        numbered.map(|(row, number)| row.example(number, 0, Example::EVALUATION)).collect()
    }
}
