//! The `[objective]` table of TinyBERT.

use objective::Error;
use serde::{Deserialize, Serialize};

use crate::layers::Mapping;

/// The `[objective]` table of TinyBERT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TinybertConfig {
    /// What the scores of attention count, summed over layers. The paper: 1.
    pub attention: f64,
    /// What the hidden states count, summed over layers. The paper: 1.
    pub hidden: f64,
    /// What the embeddings count. The paper: 1.
    pub embedding: f64,
    /// The teacher's layer that each of the student's learns.
    pub mapping: Mapping,
    /// The same as a list, counted from 1, for any other mapping; empty: as `mapping` says.
    pub layers: Vec<usize>,
    /// The maps to the teacher's width.
    pub maps: Maps,
    /// What is learnt from.
    pub source: StudentData,
    /// The paper's or its authors' code.
    pub behaviour: Behaviour,
}

/// The maps from the student's width to the teacher's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maps {
    /// One for embeddings and one for hidden states: the paper.
    #[default]
    Two,
    /// One for both: the authors' `fit_dense`.
    One,
}

/// What is learnt from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StudentData {
    /// Passages of a text: general distillation.
    #[default]
    Text,
    /// The sequences of a task: task distillation.
    Task,
}

/// Where paper and code disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// The teacher drops nothing out, padding does not count, nothing is masked.
    #[default]
    Clean,
    /// The teacher drops out in training, padding counts as far as the batch has some, and one
    /// token of each passage of a text is masked.
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
    /// Names the first that is not, and what it should be.
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
