//! The non-linearities of the feed-forward layers.

use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, gelu_approximate, relu};
use serde::{Deserialize, Serialize};

/// A non-linearity of a feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x * Phi(x)` with the error function, as in ELECTRA, RoBERTa and Hugging Face's `gelu`.
    Gelu,
    /// The tanh approximation of the same curve, as in the authors' BERT and ALBERT (`gelu_new`).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

/// Applies `activation` to every element.
pub fn activate<const D: usize>(activation: Activation, x: Tensor<D>) -> Tensor<D> {
    match activation {
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_approximate(x),
        Activation::Relu => relu(x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Reference values: `torch.nn.functional.gelu(torch.tensor([-1., 0., 2.]), approximate=a)`.
    #[test]
    fn gelu_has_its_two_published_forms() {
        let x = Tensor::<1>::from_floats([-1.0, 0.0, 2.0], &Device::flex());
        let exact = activate(Activation::Gelu, x.clone()).into_data();
        let tanh = activate(Activation::GeluTanh, x.clone()).into_data();
        let relu = activate(Activation::Relu, x).into_data();
        for (data, expected) in [
            (exact, [-0.158_655_26, 0.0, 1.954_499_7]),
            (tanh, [-0.158_808, 0.0, 1.954_597_7]),
            (relu, [0.0, 0.0, 2.0]),
        ] {
            for (got, want) in data.iter::<f32>().zip(expected) {
                assert!((got - want).abs() < 1e-6, "{got} is not {want}");
            }
        }
    }
}
