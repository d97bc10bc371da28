//! Layer normalisation (Ba et al. 2016), alone and after a residual sum.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::dropout::{self, Mask};
use crate::cpu::norm;
use crate::dropout::factors;
use crate::flex::{dims, ordered, runs_fused, tensor, values, values_mut, vector};
use crate::rule::{Rule, Tensors, record};

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
    composed::layer_norm(x, norm.gamma, norm.beta, norm.epsilon)
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
    let sum = composed::add_residual(residual, x, bias, factors);
    composed::layer_norm(sum, norm.gamma, norm.beta, norm.epsilon)
}

/// Layer norm of rows.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait NormOps: Backend {
    /// Layer norm of each row.
    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// Layer norm of `residual + dropout(x + bias)`.
    fn add_normalise(
        residual: FloatTensor<Self>,
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        mask: Option<Mask>,
    ) -> FloatTensor<Self>;
}

impl NormOps for Flex {
    fn normalise(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, epsilon: f32) -> FlexTensor {
        let (x, gamma, beta) = (ordered(x), ordered(gamma), ordered(beta));
        tensor(norm::forward(values(&x), values(&gamma), values(&beta), epsilon), dims::<2>(&x))
    }

    fn add_normalise(
        residual: FlexTensor,
        x: FlexTensor,
        bias: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f32,
        mask: Option<Mask>,
    ) -> FlexTensor {
        normalised_sum(residual, x, bias, gamma, beta, epsilon, mask.as_ref()).0
    }
}

impl<C: CheckpointStrategy> NormOps for Autodiff<Flex, C> {
    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let forward = |[x, gamma, beta]: [FlexTensor; 3]| {
            (Flex::normalise(x, gamma, beta, epsilon), Normalise(epsilon))
        };
        record::<_, C, _>([x, gamma, beta], forward)
    }

    fn add_normalise(
        residual: FloatTensor<Self>,
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        mask: Option<Mask>,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([residual, x, bias, gamma, beta], |[residual, x, bias, gamma, beta]| {
            let (out, sum) = normalised_sum(residual, x, bias, gamma, beta, epsilon, mask.as_ref());
            (out, AddNormalise { sum, epsilon, mask })
        })
    }
}

/// The normalised sum and the sum itself.
fn normalised_sum(
    residual: FlexTensor,
    x: FlexTensor,
    bias: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    epsilon: f32,
    mask: Option<&Mask>,
) -> (FlexTensor, FlexTensor) {
    let (residual, mut x, bias) = (ordered(residual), ordered(x), ordered(bias));
    let (gamma, beta) = (ordered(gamma), ordered(beta));
    let norm = dropout::Norm { gamma: values(&gamma), beta: values(&beta), epsilon };
    let out = dropout::add_residual(
        values_mut(&mut x),
        values(&residual),
        values(&bias),
        mask,
        Some(norm),
    );
    (tensor(out, dims::<2>(&x)), x)
}

#[derive(Clone, Debug)]
struct Normalise(f32);

impl Rule<3> for Normalise {
    const READS: [bool; 3] = [true, true, false];

    fn backward(self, inputs: Tensors<3>, mut g: FlexTensor, _wanted: [bool; 3]) -> Tensors<3> {
        let [x, gamma, _] = inputs;
        let (x, gamma) = (x.expect("read"), gamma.expect("read"));
        let [dg, db] = norm::backward(values(&x), values(&gamma), self.0, values_mut(&mut g));
        [Some(g), Some(vector(dg)), Some(vector(db))]
    }
}

#[derive(Clone, Debug)]
struct AddNormalise {
    sum: FlexTensor,
    epsilon: f32,
    mask: Option<Mask>,
}

impl Rule<5> for AddNormalise {
    const READS: [bool; 5] = [false, false, false, true, false];

    fn backward(self, inputs: Tensors<5>, mut g: FlexTensor, _wanted: [bool; 5]) -> Tensors<5> {
        let [_, _, _, gamma, _] = inputs;
        let gamma = gamma.expect("read");
        let shape: [usize; 2] = dims(&g);
        let norm = dropout::Norm { gamma: values(&gamma), beta: &[], epsilon: self.epsilon };
        let sum = Some((values(&self.sum), norm));
        let found =
            dropout::residual_backward(values_mut(&mut g), shape[1], self.mask.as_ref(), sum);
        let x = if self.mask.is_some() { tensor(found.x, shape) } else { g.clone() };
        let [gamma, beta] = found.norm.expect("there is a norm");
        [Some(g), Some(x), Some(vector(found.bias)), Some(vector(gamma)), Some(vector(beta))]
    }
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
                &composed::layer_norm(x.clone(), gamma.clone(), beta.clone(), 1e-5),
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
                let plain = composed::layer_norm(sum, gamma.clone(), beta.clone(), 1e-12);
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
