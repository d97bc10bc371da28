//! The `[objective]` table of masked next-token prediction.

use mlm::Masking;
use objective::Error;
use serde::{Deserialize, Serialize};

/// The `[objective]` table of masked next-token prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MntpConfig {
    /// Share of the sequences that are read causally, and of their loss in the total. GPT-BERT:
    /// 0.0625.
    pub causal: f64,
    /// The share at the end of the budget, to which it goes in a line.
    pub final_causal: f64,
    /// Masks drawn for a passage over the whole run, used in turn; 0: a new mask each epoch.
    pub duplicates: u64,
    /// Put a separator token where another document begins inside a passage.
    pub separate_documents: bool,
    /// Let tokens attend to their own document only, with positions that begin anew in each
    /// (block-diagonal attention).
    pub isolate_documents: bool,
    /// What `(log Z)^2` of each target is multiplied by and added to its loss in training, where Z is
    /// the softmax's denominator (z-loss). PaLM, GPT-BERT: 1e-4; 0: none.
    pub z_loss: f64,
    /// How training masks the other sequences.
    pub masking: Masking,
    /// How evaluation masks.
    pub evaluation: Masking,
}

impl Default for MntpConfig {
    fn default() -> Self {
        Self {
            causal: 0.0625,
            final_causal: 0.0625,
            duplicates: 0,
            separate_documents: false,
            isolate_documents: false,
            z_loss: 0.0,
            masking: Masking::default(),
            evaluation: Masking::default(),
        }
    }
}

impl MntpConfig {
    /// The share of causal sequences when the share `progress` of the budget is spent.
    pub fn causal_at(&self, progress: f64) -> f64 {
        self.causal + (self.final_causal - self.causal) * progress
    }

    /// Checks the shares.
    ///
    /// # Errors
    /// Names the first that cannot be.
    pub fn validate(&self) -> Result<(), Error> {
        let shares = [("causal", self.causal), ("final_causal", self.final_causal)];
        match shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            Some((name, share)) => {
                Err(Error(format!("{name} = {share}: must be a share, between 0 and 1")))
            }
            None => Ok(()),
        }
    }
}
