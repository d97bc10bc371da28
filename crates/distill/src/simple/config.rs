//! The `[objective]` table of simple networks.

use finetune::{DistillationConfig, TaskKind};
use objective::Error;
use serde::{Deserialize, Serialize};

/// The `[objective]` table of simple networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimpleConfig {
    /// What is predicted: a class or a score.
    pub kind: TaskKind,
    /// The classes, in the order of their numbers.
    pub labels: Vec<String>,
    /// How the task is learnt from a teacher.
    pub distillation: DistillationConfig,
    /// The network that reads a sentence.
    pub network: Network,
    /// Whether an example is a sentence or a pair, whose sentences are read alike.
    pub reads: Reads,
    /// Width of the embeddings. Tang et al.: 300.
    pub embedding: usize,
    /// Width of the hidden state of each direction of a BiLSTM (Tang et al.: 150 or 300), or number
    /// of the filters of each width of a TextCNN (Kim 2014: 100).
    pub width: usize,
    /// Width of the classifier's inner layer. Tang et al.: 200 or 400.
    pub inner: usize,
    /// Dropout after the inner layer, for single sentences. Tang et al.: 0.1.
    pub dropout: f64,
}

/// The network that reads a sentence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// A long short-term memory from both ends; its last state of each direction (Tang et al.
    /// 2019).
    #[default]
    Bilstm,
    /// Filters over 3, 4 and 5 tokens, the largest value of each (Kim 2014).
    Textcnn,
    /// The mean of the embeddings: a baseline.
    Bag,
}

/// What an example is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// A sentence.
    #[default]
    One,
    /// A pair; the classifier sees both features, their distance and their product.
    Two,
}

impl Default for SimpleConfig {
    fn default() -> Self {
        Self {
            kind: TaskKind::Classification,
            labels: Vec::new(),
            distillation: DistillationConfig::default(),
            network: Network::Bilstm,
            reads: Reads::One,
            embedding: 300,
            width: 150,
            inner: 200,
            dropout: 0.1,
        }
    }
}

impl SimpleConfig {
    /// Width of the classifier's input.
    pub fn features(&self) -> usize {
        let of_sentence = match self.network {
            Network::Bilstm => 2 * self.width,
            Network::Textcnn => super::textcnn::WIDTHS.len() * self.width,
            Network::Bag => self.embedding,
        };
        if self.reads == Reads::Two { 4 * of_sentence } else { of_sentence }
    }

    /// Checks that the values are possible.
    ///
    /// # Errors
    /// Names the first impossible value, and what it should be.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, value) in
            [("embedding", self.embedding), ("width", self.width), ("inner", self.inner)]
        {
            if value == 0 {
                return Err(Error(format!("{name} = 0: must be at least 1")));
            }
        }

        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error(format!(
                "dropout = {}: must be at least 0 and below 1",
                self.dropout
            )));
        }
        if !self.kind.of_sequence() {
            return Err(Error(
                "kind: a simple network learns classes and scores of sentences and pairs"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}
