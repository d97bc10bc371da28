//! Heads over the first token or over every token.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use kernels::{Activation, Mask, Noise, Rows, activate, dropout};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderConfig, Linear};

use crate::config::{FinetuneConfig, HeadStyle};

/// The head of a task.
#[derive(Module, Debug)]
pub struct TaskHead {
    /// `[hidden, hidden]`, in those heads over the first token that have one.
    pub dense: Option<Linear>,
    /// `[hidden, outputs]`
    pub output: Linear,
    #[module(skip)]
    style: HeadStyle,
    #[module(skip)]
    of_sequence: bool,
    #[module(skip)]
    dropout: f64,
}

impl TaskHead {
    /// New weights, biases 0.
    pub fn init(
        config: &FinetuneConfig,
        encoder: &EncoderConfig,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let (hidden, std) = (encoder.hidden, encoder.initializer_range);
        let has_dense = config.kind.of_sequence() && config.head != HeadStyle::ElectraAuthors;

        Self {
            dense: has_dense.then(|| Linear::init(hidden, hidden, std, rng, device)),
            output: Linear::init(hidden, config.kind.outputs(&config.labels), std, rng, device),
            style: config.head,
            of_sequence: config.kind.of_sequence(),
            dropout: config.dropout,
        }
    }

    /// `[n, outputs]`, given the hidden states `[n, hidden]` of the tokens `rows`.
    pub fn forward(
        &self,
        hidden: Tensor<2>,
        rows: &Rows,
        mut noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let mut drop =
            |x: Tensor<2>| dropout(x, Mask::draw(noise.as_deref_mut(), self.dropout, rows));
        if !self.of_sequence {
            return self.output.forward(drop(hidden));
        }

        let x = match self.style {
            HeadStyle::Bert => drop(self.dense(hidden).tanh()),
            HeadStyle::Roberta => {
                let x = self.dense(drop(hidden)).tanh();
                drop(x)
            }
            HeadStyle::Electra => {
                let x = self.gelu_dense(drop(hidden));
                drop(x)
            }
            HeadStyle::ElectraAuthors => drop(hidden),
            HeadStyle::Distilbert => drop(relu(self.dense(hidden))),
            HeadStyle::Tinybert => relu(self.dense(hidden).tanh()),
        };
        self.output.forward(x)
    }

    fn dense(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.dense {
            Some(dense) => dense.forward(x),
            None => x,
        }
    }

    /// The dense map with bias and GELU in one kernel.
    fn gelu_dense(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.dense {
            Some(dense) => activate(Activation::Gelu, dense.project(x), dense.bias()),
            None => x,
        }
    }
}
