//! The state of a run, and its summary.

use checkpoint::{Weights, weights};
use objective::Example;
use serde::{Deserialize, Serialize};

use crate::examples::Examples;

/// The state of a run; with weights and moments, everything that is needed to continue it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Hashes of the data.
    pub sources: Sources,
    /// Optimizer steps done.
    pub step: u64,
    /// Rows of the data order trained on: the next step begins with the row of this number, see
    /// `Recipe::batch`.
    pub rows: u64,
    /// Tokens trained on, special tokens included, padding not.
    pub tokens: u64,
    /// Floating-point operations of training: three forward passes a step.
    pub flops: f64,
    /// Seconds in the loop, over all sessions.
    pub seconds: f64,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// Loss of the last evaluation.
    pub valid_loss: Option<f64>,
}

/// The best evaluation, see [`objective::Goal`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its step.
    pub step: u64,
    /// Its loss, nats.
    pub loss: f64,
    /// The value that evaluations are compared by: the higher the better.
    pub score: f64,
}

/// The content of `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The objective.
    pub objective: &'static str,
    /// Optimizer steps.
    pub step: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Times the text was gone through.
    pub epochs: f64,
    /// Floating-point operations of training.
    pub flops: f64,
    /// Seconds in the loop.
    pub seconds: f64,
    /// Parameters of the model.
    pub parameters: usize,
    /// Last validation loss, nats.
    pub valid_loss: Option<f64>,
    /// Validation loss of the best evaluation, nats.
    pub best_loss: Option<f64>,
    /// The step of the best evaluation.
    pub best_step: Option<u64>,
}

/// Hashes of the data of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    /// Of the text or the rows.
    pub examples: String,
    /// Of the validation data.
    pub valid: String,
    /// Of the teacher's weights; empty without one.
    pub teacher: String,
    /// Of the n-grams that are masked together; empty without any.
    #[serde(default)]
    pub ngrams: String,
}

impl Sources {
    /// The hashes of a run's examples, of its validation examples, and of its teacher's weights.
    ///
    /// # Errors
    /// When the teacher's weights have no file format.
    pub fn new(
        examples: &Examples,
        valid: &[Example],
        teacher: Option<&Weights>,
    ) -> checkpoint::Result<Self> {
        let mut hash = blake3::Hasher::new();
        for example in valid {
            hash.update(format!("{example:?}").as_bytes());
        }

        let teacher = match teacher {
            Some(weights) => blake3::hash(&weights::bytes(weights)?).to_string(),
            None => String::new(),
        };

        Ok(Self {
            examples: examples.fingerprint().to_string(),
            valid: hash.finalize().to_string(),
            teacher,
            ngrams: String::new(),
        })
    }

    /// The first part that differs from `other`, in words.
    pub fn changed(&self, other: &Self) -> Option<&'static str> {
        let parts = [
            ("text or rows", self.examples == other.examples),
            ("validation text or rows", self.valid == other.valid),
            ("teacher", self.teacher == other.teacher),
            ("file of n-grams", self.ngrams == other.ngrams),
        ];
        parts.into_iter().find(|(_, same)| !same).map(|(part, _)| part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An accuracy such as 45 of 101 was read back one unit in the last place too low, so that a
    /// later tie became the best.
    #[test]
    fn a_state_is_read_back_to_the_bit() {
        for rows in 1..1000u64 {
            let score = (rows / 2) as f64 / rows as f64;
            let best = Some(Best { step: rows, loss: -score.sqrt(), score });
            let state =
                State { flops: 1e9 * score.exp(), seconds: score.sin(), best, ..State::default() };
            let text = serde_json::to_string(&state).expect("JSON");
            assert_eq!(serde_json::from_str::<State>(&text).expect("read"), state);
        }
    }
}
