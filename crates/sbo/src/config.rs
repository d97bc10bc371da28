//! The `[objective]` table of the span boundary objective.

use mlm::{Family, Masking, PairLabels};
use serde::{Deserialize, Deserializer, Serialize};

/// The `[objective]` table of the span boundary objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SboConfig {
    /// What the boundary loss is multiplied with; 0 leaves it out. The authors' command: 1.
    pub weight: f64,
    /// Tokens of a span that are predicted from its boundary, from its first on. The authors'
    /// command: 15.
    pub max_offset: usize,
    /// Width of the vectors of these offsets. SpanBERT: 200.
    pub offset_width: usize,
    /// `single`: one segment. Otherwise pairs of segments, each with a masking budget of its own
    /// (the authors' bi-sequence mode), and a question about the pair, or none.
    pub sequences: Sequences,
    /// The boundary loss divided by one more than its targets in each micro-batch, and pairs as in
    /// the authors' code.
    pub compat: bool,
    /// What `(log Z)^2` of each target is multiplied by and added to its loss in training, where Z is
    /// the softmax's denominator (z-loss). PaLM, GPT-BERT: 1e-4; 0: none.
    pub z_loss: f64,
    /// How training masks: the family is `spanbert` where none is named.
    #[serde(deserialize_with = "spanbert")]
    pub masking: Masking,
    /// How evaluation masks: the family is `spanbert` where none is named.
    #[serde(deserialize_with = "spanbert")]
    pub evaluation: Masking,
}

/// What a sequence consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sequences {
    /// One segment.
    #[default]
    Single,
    /// Two, with next-sentence prediction.
    NextSentence,
    /// Two that follow each other.
    Pair,
}

impl Sequences {
    /// What is asked about the pair; none for a single segment.
    pub fn labels(self) -> Option<PairLabels> {
        match self {
            Self::Single => None,
            Self::NextSentence => Some(PairLabels::NextSentence),
            Self::Pair => Some(PairLabels::None),
        }
    }
}

impl Default for SboConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            max_offset: 15,
            offset_width: 200,
            sequences: Sequences::Single,
            compat: false,
            z_loss: 0.0,
            masking: Masking::of(Family::Spanbert),
            evaluation: Masking::of(Family::Spanbert),
        }
    }
}

fn spanbert<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Masking, D::Error> {
    Masking::deserialize_from(Family::Spanbert, deserializer)
}
