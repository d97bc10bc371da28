//! A passage or a labelled sequence, together with what determines its randomness.

use std::sync::Arc;

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
    /// The share of the budget that is spent when the example is met; 1 in evaluation.
    pub progress: f64,
    /// How much each token id is to be preferred where tokens are chosen to be predicted, on average
    /// 1, `[vocabulary]`; none: all alike. Learnt in training, see
    /// [`crate::Objective::token_weighting`].
    pub token_weights: Option<Arc<[f32]>>,
    /// Which piece of its passage the example has, where passages are cut, see
    /// [`Example::pieces`].
    pub piece: u32,
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
    /// seed, epoch, number of the passage, number of the piece).
    pub fn rng(&self, purpose: &str) -> ChaCha8Rng {
        // No corpus has 2^40 passages.
        let number = self.passage.number | u64::from(self.piece) << 40;
        keyed_rng(purpose, self.seed, self.epoch, number)
    }

    /// The example cut into as few pieces of like length as have at most `max_tokens` tokens each.
    pub fn pieces(self, max_tokens: usize) -> Vec<Self> {
        let len = self.passage.tokens.len();
        if len <= max_tokens {
            return vec![self];
        }
        let count = len.div_ceil(max_tokens);
        let piece = |i: usize| Self {
            passage: self.passage.part(i * len / count..(i + 1) * len / count),
            piece: i as u32,
            ..self.clone()
        };
        (0..count).map(piece).collect()
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
            progress: 1.0,
            token_weights: None,
            piece: 0,
        }
    }

    /// The examples of an evaluation of `rows`, in their order.
    pub fn evaluation_set(rows: &[Self]) -> Vec<Example> {
        let numbered = rows.iter().zip(0..);
        numbered.map(|(row, number)| row.example(number, 0, Example::EVALUATION)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn pieces_hold_the_passage_once_and_draw_apart() {
        let example = fixtures::examples().remove(0);
        let whole = example.passage.tokens.clone();
        for max_tokens in 3..=whole.len() + 1 {
            let pieces = example.clone().pieces(max_tokens);
            assert_eq!(pieces.len(), whole.len().div_ceil(max_tokens));
            let tokens: Vec<u32> =
                pieces.iter().flat_map(|piece| piece.passage.tokens.clone()).collect();
            assert_eq!(tokens, whole);

            let lengths: Vec<usize> = pieces.iter().map(|it| it.passage.tokens.len()).collect();
            let (least, most) = (lengths.iter().min(), lengths.iter().max());
            assert!(most <= Some(&max_tokens) && most <= least.map(|n| n + 1).as_ref());

            let mut keys: Vec<u64> = pieces.iter().map(Example::noise_key).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), pieces.len());
            assert_eq!(pieces[0].noise_key(), example.noise_key());
        }
    }
}
