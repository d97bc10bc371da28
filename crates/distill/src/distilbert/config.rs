//! The `[objective]` table of DistilBERT.

use mlm::{Family, Masking, Scope};
use objective::Error;
use serde::{Deserialize, Serialize};

/// The `[objective]` table of DistilBERT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistilbertConfig {
    /// Weight of the divergence in the loss. The authors' command for one machine: 5 (`alpha_ce`).
    pub divergence: f64,
    /// Weight of masked language modelling in the loss. The authors: 2 (`alpha_mlm`).
    pub mlm: f64,
    /// Weight of the angle between the last hidden states in the loss. The authors: 1
    /// (`alpha_cos`).
    pub cosine: f64,
    /// Weight of the squared distance of the logits, summed over the vocabulary, in the loss. The
    /// authors: 0 (`alpha_mse`).
    pub squares: f64,
    /// Temperature T of the divergence: logits are divided by T, the divergence is multiplied by
    /// T^2. The authors: 2.
    pub temperature: f64,
    /// Where logits are compared.
    pub positions: Positions,
    /// Initial values of the student's embeddings, layers and output layer.
    pub start: Start,
    /// The teacher's layers that the student's layers start from, counted from 0; empty: evenly
    /// spread, see [`crate::spread`].
    pub layers: Vec<usize>,
    /// Initial values of the student's head.
    pub head: HeadStart,
    /// How training masks.
    pub masking: Masking,
    /// How evaluation masks.
    pub evaluation: Masking,
}

/// Where logits are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// At every token, special tokens included.
    #[default]
    All,
    /// At the predicted tokens (`--restrict_ce_to_mask`).
    Predicted,
}

/// The initial values of a student's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The teacher's weights; it must be of the same width.
    #[default]
    Teacher,
    /// Random weights.
    Random,
}

/// The initial values of a student's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadStart {
    /// The bias is the teacher's, the transform is new.
    #[default]
    Output,
    /// Bias, transform and norm are the teacher's (`--vocab_transform`).
    Transform,
}

impl Default for DistilbertConfig {
    fn default() -> Self {
        Self {
            divergence: 5.0,
            mlm: 2.0,
            cosine: 1.0,
            squares: 0.0,
            temperature: 2.0,
            positions: Positions::All,
            start: Start::Teacher,
            layers: Vec::new(),
            head: HeadStart::Output,
            masking: Masking { scope: Scope::Passage, ..Masking::of(Family::Distilbert) },
            evaluation: Masking::default(),
        }
    }
}

impl DistilbertConfig {
    /// Checks that the values are possible.
    ///
    /// # Errors
    /// Names the first impossible value, and what it should be.
    pub fn validate(&self) -> Result<(), Error> {
        let terms = [
            ("divergence", self.divergence),
            ("mlm", self.mlm),
            ("cosine", self.cosine),
            ("squares", self.squares),
        ];
        for (name, value) in terms {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error(format!("{name} = {value}: must not be negative")));
            }
        }

        if terms.iter().all(|(_, value)| *value == 0.0) {
            return Err(Error(
                "divergence, mlm, cosine and squares are all 0: nothing is learnt".to_owned(),
            ));
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(Error(format!("temperature = {}: must be above 0", self.temperature)));
        }
        Ok(())
    }
}
