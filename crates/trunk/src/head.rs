//! The masked-language-model head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::{Activation, OutputLayer, Precision, Scores, Targets, activate};
use rand_chacha::ChaCha8Rng;

use crate::config::EncoderConfig;
use crate::init::constant;
use crate::linear::Linear;
use crate::norm::Norm;

/// BERT's output layer: dense to the embedding width, activation, norm, then the product with the
/// token table, which stays tied because it is an argument, plus a bias per token.
#[derive(Module, Debug)]
pub struct MlmHead {
    /// `[hidden, embedding]`
    pub transform: Linear,
    /// Over the embedding width.
    pub norm: Norm,
    /// `[vocabulary]`
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    precision: Precision,
}

impl MlmHead {
    /// New weights, biases 0.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let width = config.embedding_width();
        Self {
            transform: config.linear(config.hidden, width, rng, device),
            norm: config.new_norm(width, device),
            bias: constant([config.vocabulary], 0.0, device),
            activation: config.activation,
            precision: config.precision,
        }
    }

    /// The output layer, given the hidden states `[n, hidden]` of the predicted positions and the
    /// token table `[vocabulary, embedding]`.
    pub fn output(&self, hidden: Tensor<2>, table: Tensor<2>) -> OutputLayer {
        let x = activate(self.activation, self.transform.project(hidden), self.transform.bias());
        OutputLayer {
            hidden: self.norm.forward(x),
            table,
            bias: self.bias.val(),
            precision: self.precision,
        }
    }

    /// Logits, `[n, vocabulary]`.
    pub fn logits(&self, hidden: Tensor<2>, table: Tensor<2>) -> Tensor<2> {
        self.output(hidden, table).logits()
    }

    /// The weighted sum of the losses of `targets`, `[1]`, without holding all logits.
    pub fn loss(&self, hidden: Tensor<2>, table: Tensor<2>, targets: Targets) -> Tensor<1> {
        kernels::vocabulary_loss(self.output(hidden, table), targets)
    }

    /// [`MlmHead::loss`], and for each target 1 where the best token is right, `[n]`.
    pub fn loss_and_hits(
        &self,
        hidden: Tensor<2>,
        table: Tensor<2>,
        targets: Targets,
    ) -> [Tensor<1>; 2] {
        kernels::vocabulary_loss_and_hits(self.output(hidden, table), targets)
    }

    /// Loss and whether the best token is right for each of `labels`, without gradients.
    pub fn scores(&self, hidden: Tensor<2>, table: Tensor<2>, labels: &[u32]) -> Scores {
        kernels::vocabulary_scores(self.output(hidden, table), labels)
    }
}

/// Hidden states at which tokens are predicted, and what predicts them.
#[derive(Debug)]
pub struct Predicted<'m> {
    /// `[n, hidden]`
    pub hidden: Tensor<2>,
    /// The head.
    pub head: &'m MlmHead,
    /// The token table, `[vocabulary, embedding]`.
    pub table: Tensor<2>,
    /// The natural log of the share of the probability that the head gives out, `[n]`, where it is
    /// not all: the rest belongs to the token that stands there.
    pub share: Option<Tensor<1>>,
}

impl<'m> Predicted<'m> {
    /// Hidden states `[n, hidden]` whose head, over `table`, gives out all of the probability.
    pub fn new(hidden: Tensor<2>, head: &'m MlmHead, table: Tensor<2>) -> Self {
        Self { hidden, head, table, share: None }
    }

    /// Logits of what the head gives out, `[n, vocabulary]`.
    pub fn logits(self) -> Tensor<2> {
        self.head.logits(self.hidden, self.table)
    }

    /// The natural-log probability of each of `tokens`, which are others than those that stand
    /// there, `[n]`, without holding all logits.
    pub fn log_probabilities(self, tokens: &[u32]) -> Tensor<1> {
        let given = self.head.scores(self.hidden, self.table, tokens).losses.neg();
        match self.share {
            Some(share) => given + share,
            None => given,
        }
    }
}
