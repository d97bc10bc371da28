//! The masked-language-model head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::{Activation, activate};
use rand_chacha::ChaCha8Rng;

use crate::config::EncoderConfig;
use crate::init::constant;
use crate::layers::{LayerNorm, Linear};

/// BERT's output layer: dense to the embedding width, activation, norm, then the product with the token table, which
/// stays tied because it is an argument, plus a bias per token.
#[derive(Module, Debug)]
pub struct MlmHead {
    /// `[hidden, embedding]`
    pub transform: Linear,
    /// Over the embedding width.
    pub norm: LayerNorm,
    /// `[vocabulary]`
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
}

impl MlmHead {
    /// New weights, biases 0.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let width = config.embedding_width();
        Self {
            transform: Linear::init(config.hidden, width, config.initializer_range, rng, device),
            norm: LayerNorm::init(width, config.norm_epsilon, device),
            bias: constant([config.vocabulary], 0.0, device),
            activation: config.activation,
        }
    }

    /// Logits `[n, vocabulary]` for the hidden states `[n, hidden]` of the predicted positions and the token table
    /// `[vocabulary, embedding]`.
    pub fn forward(&self, hidden: Tensor<2>, table: Tensor<2>) -> Tensor<2> {
        let x = self.norm.forward(activate(self.activation, self.transform.forward(hidden)));
        kernels::linear(x, table.transpose(), self.bias.val())
    }
}
