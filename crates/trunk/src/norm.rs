//! The norm that every sublayer and head has.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::Mask;
use serde::{Deserialize, Serialize};

use crate::init::constant;

/// What a norm divides by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// The standard deviation, after the mean is taken away (Ba et al. 2016).
    #[default]
    Layer,
    /// The root of the mean square (Zhang and Sennrich 2019); without a bias.
    Rms,
}

/// A layer norm or a root-mean-square norm over the last axis.
#[derive(Module, Debug)]
pub struct Norm {
    /// `[width]`
    pub gamma: Param<Tensor<1>>,
    /// `[width]`, in layer norms with a bias.
    pub beta: Option<Param<Tensor<1>>>,
    #[module(skip)]
    kind: NormKind,
    #[module(skip)]
    epsilon: f64,
}

impl Norm {
    /// Scale 1 and shift 0.
    pub fn init(
        kind: NormKind,
        width: usize,
        has_bias: bool,
        epsilon: f64,
        device: &Device,
    ) -> Self {
        Self {
            gamma: constant([width], 1.0, device),
            beta: has_bias.then(|| constant([width], 0.0, device)),
            kind,
            epsilon,
        }
    }

    /// `[rows, width] -> [rows, width]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self.kind {
            NormKind::Layer => kernels::layer_norm(x, self.of_layer()),
            NormKind::Rms => kernels::rms_norm(x, self.gamma.val(), self.epsilon),
        }
    }

    /// The norm of `residual + dropout(x + bias)`, all of `[rows, width]` with `bias: [width]`.
    pub fn of_sum(
        &self,
        residual: Tensor<2>,
        x: Tensor<2>,
        bias: Tensor<1>,
        mask: Option<Mask>,
    ) -> Tensor<2> {
        match self.kind {
            NormKind::Layer => kernels::add_normalise(residual, x, bias, self.of_layer(), mask),
            NormKind::Rms => self.forward(kernels::add_residual(residual, x, bias, mask)),
        }
    }

    fn of_layer(&self) -> kernels::Norm {
        let gamma = self.gamma.val();
        let beta = match &self.beta {
            Some(beta) => beta.val(),
            None => Tensor::zeros(gamma.dims(), &gamma.device()),
        };
        kernels::Norm { gamma, beta, epsilon: self.epsilon }
    }
}
