//! Layer normalisation (Ba et al. 2016).

use burn::tensor::Tensor;
use burn::tensor::module;

/// Normalises each row of `x: [rows, width]` to mean 0 and variance 1 (biased), then scales by `gamma` and shifts by
/// `beta`, both `[width]`. `epsilon` is added to the variance.
pub fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<2> {
    module::layer_norm(x, gamma, Some(beta), epsilon)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn a_row_is_centred_scaled_and_shifted() {
        let device = Device::flex();
        let x = Tensor::<2>::from_floats([[1.0, 3.0]], &device);
        let gamma = Tensor::<1>::from_floats([2.0, 2.0], &device);
        let beta = Tensor::<1>::from_floats([0.5, 0.5], &device);
        let y = layer_norm(x, gamma, beta, 1e-12).into_data();
        // Mean 2, standard deviation 1: the normalised row is (-1, 1).
        for (got, want) in y.iter::<f32>().zip([-1.5, 2.5]) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
    }
}
