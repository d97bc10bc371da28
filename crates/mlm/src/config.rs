//! The `[objective]` table of masked language modelling.

use serde::{Deserialize, Serialize};

use crate::masking::Masking;

/// The `[objective]` table of masked language modelling.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlmConfig {
    /// Masks drawn for a passage over the whole run, used in turn: BERT's static masking with this
    /// many duplicates of the corpus (its code: 10). 0: a new mask each epoch, as in RoBERTa.
    pub duplicates: u64,
    /// Put a separator token where another document begins inside a passage (RoBERTa's
    /// FULL-SENTENCES).
    pub separate_documents: bool,
    /// How training masks.
    pub masking: Masking,
    /// How evaluation masks.
    pub evaluation: Masking,
}
