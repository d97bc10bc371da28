//! The span boundary head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::{Activation, activate, gather};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderConfig, LayerNorm, Linear, constant, truncated_normal};

use crate::batch::Boundary;

/// Predicts a token of a span from the two tokens outside it and its offset (`models/pair_bert.py`).
#[derive(Module, Debug)]
pub struct SboHead {
    /// The offsets' vectors, `[max_offset, offset_width]`.
    pub offsets: Param<Tensor<2>>,
    /// `[2 hidden + offset_width, hidden]`
    pub first: Linear,
    /// Over the hidden width.
    pub first_norm: LayerNorm,
    /// `[hidden, embedding]`
    pub second: Linear,
    /// Over the embedding width.
    pub second_norm: LayerNorm,
    /// Of the output layer, `[vocabulary]`, apart from the masked-language-model head's.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
}

impl SboHead {
    /// New weights, biases 0.
    pub fn init(
        config: &EncoderConfig,
        (max_offset, offset_width): (usize, usize),
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let (hidden, width, std) = (config.hidden, config.embedding_width(), config.initializer_range);
        Self {
            offsets: truncated_normal([max_offset, offset_width], std, rng, device),
            first: Linear::init(2 * hidden + offset_width, hidden, std, rng, device),
            first_norm: LayerNorm::init(hidden, config.norm_epsilon, device),
            second: Linear::init(hidden, width, std, rng, device),
            second_norm: LayerNorm::init(width, config.norm_epsilon, device),
            bias: constant([config.vocabulary], 0.0, device),
            activation: config.activation,
        }
    }

    /// What the token table is multiplied with, `[n, embedding]`, for `n` tokens of spans, given hidden states
    /// `[rows, hidden]` in which [`Boundary`] names rows.
    pub fn transform(&self, hidden: Tensor<2>, boundary: &Boundary) -> Tensor<2> {
        let left = gather(hidden.clone(), boundary.left.clone());
        let right = gather(hidden, boundary.right.clone());
        let offsets = gather(self.offsets.val(), boundary.offsets.clone());
        let x = self.first.project(Tensor::cat(vec![left, right, offsets], 1));
        let x = self.first_norm.forward(activate(self.activation, x, self.first.bias.val()));
        let x = activate(self.activation, self.second.project(x), self.second.bias.val());
        self.second_norm.forward(x)
    }
}
