//! The angle between hidden states.

use burn::tensor::Tensor;

/// `1 - cos` of each pair of rows, `[n]`, for `[n, width]` both (PyTorch's `CosineEmbeddingLoss`
/// for pairs that belong together).
pub fn cosine_distances(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    /// Added to the squared norms, as in PyTorch.
    const EPSILON: f32 = 1e-12;

    let sum = |x: Tensor<2>| x.sum_dim(1).squeeze_dim::<1>(1);
    let square = |x: &Tensor<2>| sum(x.clone().powi_scalar(2)) + EPSILON;
    let norms = (square(&a) * square(&b)).sqrt();
    (sum(a * b) / norms).neg() + 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn right_angles_are_at_distance_one_and_opposites_at_two() {
        let device = Device::flex();
        let a = Tensor::<2>::from_floats([[3.0, 0.0], [1.0, 1.0], [2.0, 0.0]], &device);
        let b = Tensor::<2>::from_floats([[0.0, 2.0], [5.0, 5.0], [-1.0, 0.0]], &device);
        let found: Vec<f32> = cosine_distances(a, b).into_data().iter::<f32>().collect();
        assert!(found.iter().zip([1.0, 0.0, 2.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }
}
