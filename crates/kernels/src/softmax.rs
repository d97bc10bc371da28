//! Softmax over the last axis.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::cpu::softmax;
use crate::flex::{dims, ordered, runs_fused, values, values_mut};
use crate::rule::{Rule, Tensors, record};

/// `exp(x) / sum(exp(x))` over the last axis.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if !runs_fused(&x) {
        return burn::tensor::activation::softmax(x, D - 1);
    }
    let shape = x.dims();
    let width = shape[D - 1];
    let rows = x.reshape([shape.iter().product::<usize>() / width, width]);
    Tensor::<2>::from_dispatch(Dispatch::softmax_rows(rows.into_dispatch())).reshape(shape)
}

/// Softmax of rows.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait SoftmaxOps: Backend {
    /// Softmax of each row.
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl SoftmaxOps for Flex {
    fn softmax_rows(x: FlexTensor) -> FlexTensor {
        let mut x = ordered(x);
        let [_, width] = dims(&x);
        softmax::forward(values_mut(&mut x), width);
        x
    }
}

impl<C: CheckpointStrategy> SoftmaxOps for Autodiff<Flex, C> {
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<_, C, _>([x], |[x]| {
            let out = Flex::softmax_rows(x);
            (out.clone(), SoftmaxRows(out))
        })
    }
}

#[derive(Clone, Debug)]
struct SoftmaxRows(FlexTensor);

impl Rule<1> for SoftmaxRows {
    const READS: [bool; 1] = [false];

    fn backward(self, _inputs: Tensors<1>, mut g: FlexTensor, _wanted: [bool; 1]) -> Tensors<1> {
        let y = self.0;
        let [_, width] = dims(&g);
        softmax::backward(values(&y), values_mut(&mut g), width);
        [Some(g)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, scaled_leaf, value_and_gradients};
    use burn::tensor::Device;

    #[test]
    fn large_scores_do_not_overflow_and_equal_ones_share() {
        let x = Tensor::<2>::from_floats([[1000.0, 0.0], [3.0, 3.0]], &Device::flex());
        assert_eq!(host(&softmax(x)), [1.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for shape in [[1, 1, 1], [2, 3, 5], [4, 7, 33], [1, 2, 129]] {
            let x = scaled_leaf([shape[0] * shape[1], shape[2]], 3, 5.0);
            let fused = value_and_gradients(&softmax(x.clone().reshape(shape)), &[], &[&x]);
            let plain = burn::tensor::activation::softmax(x.clone().reshape(shape), 2);
            assert_close(
                &fused,
                &value_and_gradients(&plain, &[], &[&x]),
                2e-6,
                &format!("{shape:?}"),
            );
        }
    }
}
