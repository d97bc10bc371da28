//! The `[objective]` table of DistilBERT.

use mlm::{Family, Masking, Scope};
use objective::Error;
use serde::{Deserialize, Serialize};

/// The `[objective]` table of DistilBERT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistilbertConfig {
    /// What the divergence counts. The authors' command for one machine: 5 (`alpha_ce`).
    pub divergence: f64,
    /// What the loss of masked language modelling counts. The authors: 2 (`alpha_mlm`).
    pub mlm: f64,
    /// What the angle between the last hidden states counts. The authors: 1 (`alpha_cos`).
    pub cosine: f64,
    /// What the squared distance of the logits, summed over the vocabulary, counts. The authors: 0
    /// (`alpha_mse`).
    pub squares: f64,
    /// What logits are divided by in the divergence, which is multiplied by its square. The
    /// authors: 2.
    pub temperature: f64,
    /// Where logits are compared.
    pub positions: Positions,
    /// What the student's embeddings, layers and output layer start from.
    pub start: Start,
    /// The teacher's layers that the student's start from, counted from 0; empty: evenly spread,
    /// see [`crate::spread`].
    pub layers: Vec<usize>,
    /// What the student's head starts from.
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
    /// At the predicted ones (`--restrict_ce_to_mask`).
    Predicted,
}

/// What a student's weights start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The teacher's, which must be of the same width.
    #[default]
    Teacher,
    /// Chance.
    Random,
}

/// What a student's head starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadStart {
    /// The bias is the teacher's, the transform is new.
    #[default]
    Output,
    /// Transform and norm are the teacher's too (`--vocab_transform`).
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
    /// Names the first that is not, and what it should be.
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
