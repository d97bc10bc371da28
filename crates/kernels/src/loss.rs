//! Cross-entropy over few classes.

use burn::tensor::Tensor;

use crate::composed;

/// The loss of each row in nats, `[n]`, for `logits: [n, classes]` and the right class of each row.
/// For the classes of a vocabulary there is [`crate::vocabulary_loss`].
pub fn cross_entropy(logits: Tensor<2>, labels: &[u32]) -> Tensor<1> {
    let labels = composed::ids(labels, &logits.device());
    composed::cross_entropy(logits, labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn uniform_logits_cost_the_log_of_the_classes_and_large_ones_do_not_overflow() {
        let logits = Tensor::<2>::from_floats(
            [[3.0, 3.0, 3.0, 3.0], [1000.0, 0.0, 0.0, 0.0]],
            &Device::flex(),
        );
        let loss: Vec<f32> =
            cross_entropy(logits, &[2, 0]).into_data().try_into_vec().expect("f32");
        assert!((loss[0] - 4f32.ln()).abs() < 1e-6);
        assert_eq!(loss[1], 0.0);
    }
}
