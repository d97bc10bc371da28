//! Kinds of tasks.

use serde::{Deserialize, Serialize};

/// What is predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// The class of a sentence or a pair.
    #[default]
    Classification,
    /// A number for a sentence or a pair.
    Regression,
    /// The tag of every word.
    Tagging,
    /// The first and the last token of the answer to a question in its context.
    Question,
}

impl TaskKind {
    /// Whether the outputs are about a sequence and not about each token.
    pub fn of_sequence(self) -> bool {
        matches!(self, Self::Classification | Self::Regression)
    }

    /// The number of outputs for a sequence or a token.
    pub fn outputs(self, labels: &[String]) -> usize {
        match self {
            Self::Classification | Self::Tagging => labels.len(),
            Self::Regression => 1,
            Self::Question => 2,
        }
    }
}
