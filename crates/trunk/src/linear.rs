//! The affine map that everything is built from.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::Precision;
use rand_chacha::ChaCha8Rng;

use crate::init::{constant, truncated_normal};

/// An affine map `x W + b` with `weight: [in, out]` (Hugging Face files hold the transpose) and
/// `bias: [out]`, where there is one.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Option<Param<Tensor<1>>>,
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
            bias: Some(constant([output], 0.0, device)),
            precision: Precision::F32,
        }
    }

    /// The same map with products of another precision.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same map without its bias.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// The bias, or zeros where there is none, `[out]`.
    pub fn bias(&self) -> Tensor<1> {
        match &self.bias {
            Some(bias) => bias.val(),
            None => Tensor::zeros([self.weight.dims()[1]], &self.weight.device()),
        }
    }

    /// `x W`, without the bias, for what takes the bias along with its own pass.
    pub fn project(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::project(x, self.weight.val(), self.precision)
    }

    /// `[rows, in] -> [rows, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::linear(x, self.weight.val(), self.bias(), self.precision)
    }
}
