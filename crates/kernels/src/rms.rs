//! Root-mean-square normalisation (Zhang and Sennrich 2019).

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::rms;
use crate::flex::{dims, ordered, runs_fused, tensor, values, values_mut, vector};
use crate::rule::{Rule, Tensors, record};

/// Divides each row of `x: [rows, width]` by the root of its mean square, to which `epsilon` is
/// added, and multiplies it by `gamma: [width]`.
pub fn rms_norm(x: Tensor<2>, gamma: Tensor<1>, epsilon: f64) -> Tensor<2> {
    if runs_fused(&x) {
        let (x, gamma) = (x.into_dispatch(), gamma.into_dispatch());
        return Tensor::from_dispatch(Dispatch::rms_norm(x, gamma, epsilon as f32));
    }
    composed::rms_norm(x, gamma, epsilon)
}

/// Root-mean-square norm of rows.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait RmsNormOps: Backend {
    /// The normalised rows.
    fn rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self>;
}

impl RmsNormOps for Flex {
    fn rms_norm(x: FlexTensor, gamma: FlexTensor, epsilon: f32) -> FlexTensor {
        let (x, gamma) = (ordered(x), ordered(gamma));
        tensor(rms::forward(values(&x), values(&gamma), epsilon), dims::<2>(&x))
    }
}

impl<C: CheckpointStrategy> RmsNormOps for Autodiff<Flex, C> {
    fn rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self> {
        record::<_, C, _>([x, gamma], |[x, gamma]| {
            (Flex::rms_norm(x, gamma, epsilon), RmsNorm(epsilon))
        })
    }
}

#[derive(Clone, Debug)]
struct RmsNorm(f32);

impl Rule<2> for RmsNorm {
    const READS: [bool; 2] = [true, true];

    fn backward(self, inputs: Tensors<2>, mut g: FlexTensor, _wanted: [bool; 2]) -> Tensors<2> {
        let [x, gamma] = inputs.map(|input| input.expect("read"));
        let sums = rms::backward(values(&x), values(&gamma), self.0, values_mut(&mut g));
        [Some(g), Some(vector(sums))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, in_pool, leaf, scaled_leaf, value_and_gradients};
    use burn::tensor::Device;

    #[test]
    fn a_row_is_divided_by_its_root_mean_square() {
        let device = Device::flex();
        // The mean of 1 and 49 is 25.
        let x = Tensor::<2>::from_floats([[1.0, -7.0]], &device);
        let y = rms_norm(x, Tensor::from_floats([1.0, 10.0], &device), 1e-12);
        assert_close(&[host(&y)], &[vec![0.2, -14.0]], 1e-6, "root 5");
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for (rows, width) in [(1, 2), (3, 17), (70, 33), (9, 128)] {
            let (x, gamma) = (scaled_leaf([rows, width], 1, 3.0), leaf([width], 2));
            let fused = rms_norm(x.clone(), gamma.clone(), 1e-6);
            let fused = value_and_gradients(&fused, &[&gamma], &[&x]);
            let plain = composed::rms_norm(x.clone(), gamma.clone(), 1e-6);
            let plain = value_and_gradients(&plain, &[&gamma], &[&x]);
            assert_close(&fused, &plain, 1e-5, &format!("{rows} x {width}"));
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let run = |threads| {
            in_pool(threads, || {
                let (x, gamma) = (leaf([301, 96], 1), leaf([96], 2));
                value_and_gradients(&rms_norm(x.clone(), gamma.clone(), 1e-6), &[&gamma], &[&x])
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
