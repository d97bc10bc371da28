//! The two parametrised building blocks: an affine map and a layer norm.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::{Norm, Precision};
use rand_chacha::ChaCha8Rng;

use crate::init::{constant, truncated_normal};

/// An affine map `x W + b` with `weight: [in, out]` (Hugging Face files hold the transpose) and
/// `bias: [out]`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    precision: Precision,
}

impl Linear {
    /// Weights from the truncated normal distribution, biases 0.
    pub fn init(
        input: usize,
        output: usize,
        std: f64,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        Self {
            weight: truncated_normal([input, output], std, rng, device),
            bias: constant([output], 0.0, device),
            precision: Precision::F32,
        }
    }

    /// The same map with products of another precision.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// `x W`, without the bias, for what takes the bias along with its own pass.
    pub fn project(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::project(x, self.weight.val(), self.precision)
    }

    /// `[rows, in] -> [rows, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::linear(x, self.weight.val(), self.bias.val(), self.precision)
    }
}

/// A layer norm over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[width]`
    pub gamma: Param<Tensor<1>>,
    /// `[width]`
    pub beta: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
}

impl LayerNorm {
    /// Scale 1, shift 0.
    pub fn init(width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            gamma: constant([width], 1.0, device),
            beta: constant([width], 0.0, device),
            epsilon,
        }
    }

    /// `[rows, width] -> [rows, width]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::layer_norm(x, self.parameters())
    }

    /// Scale, shift and epsilon.
    pub fn parameters(&self) -> Norm {
        Norm { gamma: self.gamma.val(), beta: self.beta.val(), epsilon: self.epsilon }
    }
}
