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
    /// Let tokens attend to their own document only, with positions that begin anew in each
    /// (block-diagonal attention).
    pub isolate_documents: bool,
    /// What `(log Z)^2` of each target is multiplied by and added to its loss in training, where Z is
    /// the softmax's denominator (z-loss). PaLM, GPT-BERT: 1e-4; 0: none.
    pub z_loss: f64,
    /// How training masks.
    pub masking: Masking,
    /// How evaluation masks.
    pub evaluation: Masking,
}
