//! The `[objective]` table of fine-tuning.

use ::objective::Error;
use serde::{Deserialize, Serialize};

use crate::distillation::DistillationConfig;
use crate::kind::TaskKind;

/// The `[objective]` table of fine-tuning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FinetuneConfig {
    /// What is predicted.
    pub kind: TaskKind,
    /// The classes or tags, in the order of their numbers.
    pub labels: Vec<String>,
    /// How the head is built.
    pub head: HeadStyle,
    /// Which hidden state a head over the whole sequence looks at.
    pub pooling: Pooling,
    /// Dropout in the head. BERT: 0.1.
    pub dropout: f64,
    /// How the task is learnt from a teacher.
    pub distillation: DistillationConfig,
}

/// Which hidden state a head over the whole sequence looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// That of the first token.
    #[default]
    Cls,
    /// The mean of all tokens, special tokens included; of transformers' families only ModernBERT
    /// has it.
    Mean,
}

/// How the head over the whole sequence is built; heads over all tokens are a linear map in every
/// family but ModernBERT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadStyle {
    /// `dropout(tanh(h W + b)) V + c`, W the pretrained pooler: BERT, ALBERT, SpanBERT.
    #[default]
    Bert,
    /// `dropout(tanh(dropout(h) W + b)) V + c`, W new.
    Roberta,
    /// `dropout(gelu(dropout(h) W + b)) V + c`, as transformers has it for ELECTRA.
    Electra,
    /// `dropout(h) V + c`, as the authors of ELECTRA fine-tune.
    ElectraAuthors,
    /// `dropout(relu(h W + b)) V + c`.
    Distilbert,
    /// `relu(tanh(h W + b)) V + c`, without dropout.
    Tinybert,
    /// `dropout(norm(f(h W + b))) V + c` with the encoder's activation, W and the norm those of the
    /// pretrained head over the vocabulary; over all tokens too.
    Modernbert,
}

impl HeadStyle {
    /// The name of the head in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::Electra => "electra",
            Self::ElectraAuthors => "electra-authors",
            Self::Distilbert => "distilbert",
            Self::Tinybert => "tinybert",
            Self::Modernbert => "modernbert",
        }
    }
}

impl FinetuneConfig {
    /// Checks that the values are possible.
    ///
    /// # Errors
    /// Names the first impossible value, and what it should be.
    pub fn validate(&self) -> Result<(), Error> {
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error(format!(
                "dropout = {}: must be at least 0 and below 1",
                self.dropout
            )));
        }
        Ok(())
    }
}
