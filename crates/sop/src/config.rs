//! The `[objective]` table of sentence-order prediction.

use mlm::{Family, Masking, PairLabels};
use serde::{Deserialize, Deserializer, Serialize};

/// The `[objective]` table of sentence-order prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SopConfig {
    /// What is asked about a pair.
    pub labels: PairLabels,
    /// Pairs as in the authors' code: see the crate.
    pub compat: bool,
    /// Pairs and masks drawn for a passage over the whole run, used in turn. BERT's code: 10;
    /// ALBERT's: 40. 0: new ones each epoch.
    pub duplicates: u64,
    /// What `(log Z)^2` of each target is multiplied by and added to its loss in training, where Z is
    /// the softmax's denominator (z-loss). PaLM, GPT-BERT: 1e-4; 0: none.
    pub z_loss: f64,
    /// How training masks: the family is `albert` where none is named.
    #[serde(deserialize_with = "albert")]
    pub masking: Masking,
    /// How evaluation masks: the family is `bert` where none is named.
    pub evaluation: Masking,
}

impl Default for SopConfig {
    fn default() -> Self {
        Self {
            labels: PairLabels::SentenceOrder,
            compat: false,
            duplicates: 0,
            z_loss: 0.0,
            masking: Masking::of(Family::Albert),
            evaluation: Masking::default(),
        }
    }
}

fn albert<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Masking, D::Error> {
    Masking::deserialize_from(Family::Albert, deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_is_alberts_unless_another_family_is_named() {
        let read = |text: &str| toml::from_str::<SopConfig>(text).expect("a table");
        assert_eq!(
            read("masking.rate = 0.2").masking,
            Masking { rate: 0.2, ..Masking::of(Family::Albert) }
        );
        assert_eq!(read("masking.family = \"bert\"").masking, Masking::default());
        assert_eq!(read("labels = \"next-sentence\"").labels, PairLabels::NextSentence);
        assert!(toml::from_str::<SopConfig>("label = 1").is_err(), "unknown keys are refused");

        let written = toml::to_string(&SopConfig::default()).expect("TOML");
        assert_eq!(read(&written), SopConfig::default());
    }
}
