//! Layer normalisation (Ba et al. 2016), alone and after a residual sum.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::dropout::Mask;
use crate::dropout::factors;
use crate::fused::{Fused, runs_fused};

/// The parameters of a layer norm.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Scale, `[width]`.
    pub gamma: Tensor<1>,
    /// Shift, `[width]`.
    pub beta: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Normalises each row of `x: [rows, width]` to mean 0 and variance 1 (biased), then scales by
/// gamma and shifts by beta.
pub fn layer_norm(x: Tensor<2>, norm: Norm) -> Tensor<2> {
    if runs_fused(&x) {
        let (gamma, beta) = (norm.gamma.into_dispatch(), norm.beta.into_dispatch());
        return Tensor::from_dispatch(Dispatch::normalise(
            x.into_dispatch(),
            gamma,
            beta,
            norm.epsilon as f32,
        ));
    }
    composed::layer_norm(x, norm)
}

/// The layer norm of `residual + dropout(x + bias)`, all of `[rows, width]` with `bias: [width]`:
/// the end of a post-LN sublayer in one pass.
pub fn add_normalise(
    residual: Tensor<2>,
    x: Tensor<2>,
    bias: Tensor<1>,
    norm: Norm,
    mask: Option<Mask>,
) -> Tensor<2> {
    if runs_fused(&x) {
        let (residual, x, bias) =
            (residual.into_dispatch(), x.into_dispatch(), bias.into_dispatch());
        let (gamma, beta) = (norm.gamma.into_dispatch(), norm.beta.into_dispatch());
        let out =
            Dispatch::add_normalise(residual, x, bias, gamma, beta, norm.epsilon as f32, mask);
        return Tensor::from_dispatch(out);
    }
    let factors = mask.map(|mask| factors(&x, &mask));
    composed::layer_norm(composed::add_residual(residual, x, bias, factors), norm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;
    use crate::rows::Rows;
    use crate::testing::{assert_close, in_pool, leaf, scaled_leaf, value_and_gradients};
    use burn::tensor::Device;

    #[test]
    fn a_row_is_centred_scaled_and_shifted() {
        let device = Device::flex();
        let x = Tensor::<2>::from_floats([[1.0, 3.0]], &device);
        let gamma = Tensor::<1>::from_floats([2.0, 2.0], &device);
        let beta = Tensor::<1>::from_floats([0.5, 0.5], &device);
        let y = layer_norm(x, Norm { gamma, beta, epsilon: 1e-12 }).into_data();
        // Mean 2, standard deviation 1: the normalised row is (-1, 1).
        for (got, want) in y.iter::<f32>().zip([-1.5, 2.5]) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for (rows, width) in [(1, 2), (3, 17), (70, 33), (9, 128)] {
            let (x, gamma, beta) =
                (scaled_leaf([rows, width], 1, 3.0), leaf([width], 2), leaf([width], 3));
            let norm = || Norm { gamma: gamma.clone(), beta: beta.clone(), epsilon: 1e-5 };
            let fused =
                value_and_gradients(&layer_norm(x.clone(), norm()), &[&gamma, &beta], &[&x]);
            let plain = value_and_gradients(
                &composed::layer_norm(x.clone(), norm()),
                &[&gamma, &beta],
                &[&x],
            );
            assert_close(&fused, &plain, 1e-5, &format!("{rows} x {width}"));
        }
    }

    #[test]
    fn the_norm_of_a_residual_sum_is_that_of_the_composed_operation() {
        for (sequences, len, width) in [(1, 1, 2), (3, 5, 17), (2, 40, 64)] {
            let rows = sequences * len;
            let (residual, x) = (leaf([rows, width], 1), leaf([rows, width], 2));
            let (bias, gamma, beta) = (leaf([width], 3), leaf([width], 4), leaf([width], 5));
            let norm = || Norm { gamma: gamma.clone(), beta: beta.clone(), epsilon: 1e-12 };
            for rate in [0.0, 0.3] {
                let noise = &mut Noise::new((0..sequences as u64).collect());
                let mask = Mask::draw(Some(noise), rate, &Rows::of_lengths(&vec![len; sequences]));
                let (r, z, b) = (residual.clone(), x.clone(), bias.clone());
                let fused = add_normalise(r, z, b, norm(), mask.clone());
                let fused = value_and_gradients(&fused, &[&bias, &gamma, &beta], &[&residual, &x]);
                let factors = mask.map(|mask| factors(&x, &mask));
                let sum =
                    composed::add_residual(residual.clone(), x.clone(), bias.clone(), factors);
                let plain = composed::layer_norm(sum, norm());
                let plain = value_and_gradients(&plain, &[&bias, &gamma, &beta], &[&residual, &x]);
                assert_close(&fused, &plain, 1e-5, &format!("{rows} x {width}, rate {rate}"));
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let run = |threads| {
            in_pool(threads, || {
                let (x, gamma, beta) = (leaf([301, 96], 1), leaf([96], 2), leaf([96], 3));
                let norm = Norm { gamma: gamma.clone(), beta: beta.clone(), epsilon: 1e-12 };
                let noise = &mut Noise::new((0..7).collect());
                let mask = Mask::draw(Some(noise), 0.1, &Rows::of_lengths(&[43; 7]));
                let out = add_normalise(x.clone(), x.clone(), beta.clone(), norm, mask);
                value_and_gradients(&out, &[&gamma, &beta], &[&x])
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
