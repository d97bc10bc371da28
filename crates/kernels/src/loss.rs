//! Cross-entropy over a vocabulary.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// The negative log-likelihood in nats of each label: `logits: [n, classes]`, `labels: [n]`, result `[n]`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1)).squeeze_dim::<1>(1).neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn uniform_logits_cost_the_log_of_the_classes_and_large_ones_do_not_overflow() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[3.0, 3.0, 3.0, 3.0], [1000.0, 0.0, 0.0, 0.0]], &device);
        let labels = Tensor::<1, Int>::from_ints([2, 0], &device);
        let loss: Vec<f32> = cross_entropy(logits, labels).into_data().try_into_vec().expect("f32");
        assert!((loss[0] - 4f32.ln()).abs() < 1e-6);
        assert_eq!(loss[1], 0.0);
    }
}
