//! The head that tells replaced tokens from originals.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use kernels::{Activation, activate};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderConfig, Linear};

/// `w . gelu(x W + b) + c` (`get_discriminator_predictions` in the authors' `run_pretraining.py`;
/// no norm).
#[derive(Module, Debug)]
pub struct RtdHead {
    /// `[hidden, hidden]`
    pub dense: Linear,
    /// `[hidden, 1]`
    pub output: Linear,
    #[module(skip)]
    activation: Activation,
}

impl RtdHead {
    /// New weights, biases 0.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let (hidden, std) = (config.hidden, config.initializer_range);
        Self {
            dense: Linear::init(hidden, hidden, std, rng, device),
            output: Linear::init(hidden, 1, std, rng, device),
            activation: config.activation,
        }
    }

    /// The logit of "replaced" of each row, `[rows, 1]`.
    pub fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.output.forward(activate(
            self.activation,
            self.dense.project(hidden),
            self.dense.bias(),
        ))
    }
}

/// The cross-entropy of logits `[n, 1]` of "yes" in nats, `[n]`.
pub fn binary_cross_entropy(logits: Tensor<2>, answers: &[bool]) -> Tensor<1> {
    let answers: Vec<u32> = answers.iter().map(|yes| u32::from(*yes)).collect();
    kernels::cross_entropy(Tensor::cat(vec![logits.zeros_like(), logits], 1), &answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logit_of_zero_costs_one_bit_and_large_ones_do_not_overflow() {
        let logits = Tensor::<2>::from_floats([[0.0], [2.0], [-100.0], [100.0]], &Device::flex());
        let losses = binary_cross_entropy(logits, &[true, false, true, true]);
        let losses: Vec<f32> = losses.into_data().iter::<f32>().collect();
        let want = [2f32.ln(), 2.0 + (1.0 + (-2f32).exp()).ln(), 100.0, 0.0];
        for (loss, want) in losses.iter().zip(want) {
            assert!((loss - want).abs() < 1e-5, "{losses:?}");
        }
    }
}
