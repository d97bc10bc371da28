//! The `[objective]` table of TinyBERT.

use objective::Error;
use serde::{Deserialize, Serialize};

use crate::layers::Mapping;

/// The `[objective]` table of TinyBERT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TinybertConfig {
    /// Weight of the attention scores in the loss, summed over layers. The paper: 1.
    pub attention: f64,
    /// Weight of the hidden states in the loss, summed over layers. The paper: 1.
    pub hidden: f64,
    /// Weight of the embeddings in the loss. The paper: 1.
    pub embedding: f64,
    /// The layer of the teacher that each layer of the student learns.
    pub mapping: Mapping,
    /// The layers of the teacher as a list, counted from 1, for any other mapping; empty: those of
    /// `mapping`.
    pub layers: Vec<usize>,
    /// The maps from the student's width to the teacher's.
    pub maps: Maps,
    /// The data to learn from.
    pub source: StudentData,
    /// Whether the paper or its authors' code is followed where they disagree.
    pub behaviour: Behaviour,
}

/// The maps from the student's width to the teacher's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maps {
    /// One for embeddings and one for hidden states, as in the paper.
    #[default]
    Two,
    /// One for both, the authors' `fit_dense`.
    One,
}

/// The data that a student learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StudentData {
    /// Passages of a text: general distillation.
    #[default]
    Text,
    /// The sequences of a task: task distillation.
    Task,
}

/// Which of paper and code is followed where they disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// The teacher drops nothing out, padding does not count, nothing is masked.
    #[default]
    Clean,
    /// The teacher drops out in training, the padding of a batch counts, and one token of each
    /// passage of a text is masked.
    Authors,
}

impl Default for TinybertConfig {
    fn default() -> Self {
        Self {
            attention: 1.0,
            hidden: 1.0,
            embedding: 1.0,
            mapping: Mapping::Uniform,
            layers: Vec::new(),
            maps: Maps::Two,
            source: StudentData::Text,
            behaviour: Behaviour::Clean,
        }
    }
}

impl TinybertConfig {
    /// Checks that the values are possible.
    ///
    /// # Errors
    /// Names the first impossible value, and what it should be.
    pub fn validate(&self) -> Result<(), Error> {
        let terms =
            [("attention", self.attention), ("hidden", self.hidden), ("embedding", self.embedding)];
        for (name, value) in terms {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error(format!("{name} = {value}: must not be negative")));
            }
        }

        if self.attention + self.hidden + self.embedding == 0.0 {
            return Err(Error(
                "attention, hidden and embedding are all 0: nothing is learnt".to_owned(),
            ));
        }
        Ok(())
    }
}
