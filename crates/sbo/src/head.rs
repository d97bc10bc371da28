//! The span boundary head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::{Activation, OutputLayer, Precision, activate, gather};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderConfig, Linear, Norm, constant, truncated_normal};

use crate::batch::Boundary;

/// Predicts a token of a span from the two tokens outside it and its offset
/// (`models/pair_bert.py`).
#[derive(Module, Debug)]
pub struct SboHead {
    /// The offsets' vectors, `[max_offset, offset_width]`.
    pub offsets: Param<Tensor<2>>,
    /// `[2 hidden + offset_width, hidden]`
    pub first: Linear,
    /// Over the hidden width.
    pub first_norm: Norm,
    /// `[hidden, embedding]`
    pub second: Linear,
    /// Over the embedding width.
    pub second_norm: Norm,
    /// Of the output layer, `[vocabulary]`, apart from the masked-language-model head's.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    precision: Precision,
}

/// The shape of the table of offsets.
#[derive(Clone, Copy, Debug)]
pub struct Offsets {
    /// How many offsets there are.
    pub max_offset: usize,
    /// The width of their vectors.
    pub offset_width: usize,
}

impl SboHead {
    /// New weights, biases 0.
    pub fn init(
        config: &EncoderConfig,
        Offsets { max_offset, offset_width }: Offsets,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let (hidden, width) = (config.hidden, config.embedding_width());

        Self {
            offsets: truncated_normal(
                [max_offset, offset_width],
                config.initializer_range,
                rng,
                device,
            ),
            first: config.linear(2 * hidden + offset_width, hidden, rng, device),
            first_norm: config.new_norm(hidden, device),
            second: config.linear(hidden, width, rng, device),
            second_norm: config.new_norm(width, device),
            bias: constant([config.vocabulary], 0.0, device),
            activation: config.activation,
            precision: config.precision,
        }
    }

    /// The output layer for `n` tokens of spans, given hidden states `[rows, hidden]` in which
    /// `Boundary` names rows, and the token table `[vocabulary, embedding]`.
    pub fn output(&self, hidden: Tensor<2>, boundary: &Boundary, table: Tensor<2>) -> OutputLayer {
        let left = gather(hidden.clone(), boundary.left.clone());
        let right = gather(hidden, boundary.right.clone());
        let offsets = gather(self.offsets.val(), boundary.offsets.clone());

        let x = self.first.project(Tensor::cat(vec![left, right, offsets], 1));
        let x = self.first_norm.forward(activate(self.activation, x, self.first.bias()));
        let x = activate(self.activation, self.second.project(x), self.second.bias());

        let (hidden, bias) = (self.second_norm.forward(x), self.bias.val());
        OutputLayer { hidden, table, bias, precision: self.precision }
    }
}
