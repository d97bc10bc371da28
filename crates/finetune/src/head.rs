//! Heads over the first token or over every token.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use kernels::{Activation, Mask, Noise, Rows, activate, dropout};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderConfig, Linear, Norm};

use crate::config::{FinetuneConfig, HeadStyle};

/// The head of a task.
#[derive(Module, Debug)]
pub struct TaskHead {
    /// `[hidden, hidden]`, in those heads that have one.
    pub dense: Option<Linear>,
    /// After the dense map, in ModernBERT's head.
    pub norm: Option<Norm>,
    /// `[hidden, outputs]`
    pub output: Linear,
    #[module(skip)]
    activation: Activation,
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
        let is_modern = config.head == HeadStyle::Modernbert;
        let dense = match config.head {
            HeadStyle::Modernbert => Some(encoder.linear(hidden, hidden, rng, device)),
            HeadStyle::ElectraAuthors => None,
            _ if !config.kind.of_sequence() => None,
            _ => Some(Linear::init(hidden, hidden, std, rng, device)),
        };

        Self {
            dense,
            norm: is_modern.then(|| encoder.new_norm(hidden, device)),
            activation: if is_modern { encoder.activation } else { Activation::Gelu },
            output: Linear::init(hidden, config.kind.outputs(&config.labels), std, rng, device),
            style: config.head,
            of_sequence: config.kind.of_sequence(),
            dropout: config.dropout,
        }
    }

    /// `[n, outputs]`, given the hidden states `[n, hidden]` of the tokens `rows`, or for each
    /// sequence one, with `rows` its first token.
    pub fn forward(
        &self,
        hidden: Tensor<2>,
        rows: &Rows,
        mut noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let mut drop =
            |x: Tensor<2>| dropout(x, Mask::draw(noise.as_deref_mut(), self.dropout, rows));
        if !self.of_sequence && self.style != HeadStyle::Modernbert {
            return self.output.forward(drop(hidden));
        }

        let x = match self.style {
            HeadStyle::Bert => drop(self.dense(hidden).tanh()),
            HeadStyle::Roberta => {
                let x = self.dense(drop(hidden)).tanh();
                drop(x)
            }
            HeadStyle::Electra => {
                let x = self.activated_dense(drop(hidden));
                drop(x)
            }
            HeadStyle::ElectraAuthors => drop(hidden),
            HeadStyle::Distilbert => drop(relu(self.dense(hidden))),
            HeadStyle::Tinybert => relu(self.dense(hidden).tanh()),
            HeadStyle::Modernbert => {
                let x = self.activated_dense(hidden);
                drop(self.norm.as_ref().map_or(x.clone(), |norm| norm.forward(x)))
            }
        };
        self.output.forward(x)
    }

    fn dense(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.dense {
            Some(dense) => dense.forward(x),
            None => x,
        }
    }

    /// The dense map with bias and activation in one kernel.
    fn activated_dense(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.dense {
            Some(dense) => activate(self.activation, dense.project(x), dense.bias()),
            None => x,
        }
    }
}
