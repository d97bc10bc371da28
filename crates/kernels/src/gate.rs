//! Gated linear units (Dauphin et al. 2017; Shazeer 2020): GeGLU with `gelu`, SwiGLU with `silu`.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::activation::Activation;
use crate::cpu::gate;
use crate::flex::{dims, ordered, runs_fused, tensor, values};
use crate::rule::{Rule, Tensors, record_cheap};

/// `f(x) * y` for rows `x, y` side by side, `[rows, 2 * width]`; the result is `[rows, width]`.
pub fn gate(activation: Activation, packed: Tensor<2>) -> Tensor<2> {
    if runs_fused(&packed) {
        return Tensor::from_dispatch(Dispatch::gate(packed.into_dispatch(), activation));
    }
    composed::gate(activation, packed)
}

/// A non-linearity and a gate.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait GateOps: Backend {
    /// `f(x) * y`
    fn gate(packed: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
}

impl GateOps for Flex {
    fn gate(packed: FlexTensor, activation: Activation) -> FlexTensor {
        let packed = ordered(packed);
        let [rows, both] = dims(&packed);
        tensor(gate::forward(activation, values(&packed), both / 2), [rows, both / 2])
    }
}

impl<C: CheckpointStrategy> GateOps for Autodiff<Flex, C> {
    fn gate(packed: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let again = move |[packed]: [FlexTensor; 1]| Flex::gate(packed, activation);
        record_cheap::<_, C, _>([packed], again, Gate(activation))
    }
}

#[derive(Clone, Debug)]
struct Gate(Activation);

impl Rule<1> for Gate {
    const READS: [bool; 1] = [true];

    fn backward(self, inputs: Tensors<1>, g: FlexTensor, _wanted: [bool; 1]) -> Tensors<1> {
        let [packed] = inputs.map(|input| input.expect("read"));
        let [rows, both] = dims(&packed);
        let gradient = gate::backward(self.0, values(&packed), both / 2, values(&g));
        [Some(tensor(gradient, [rows, both]))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, scaled_leaf, value_and_gradients};
    use burn::tensor::Device;

    #[test]
    fn the_first_half_passes_the_curve_and_the_second_is_the_gate() {
        let packed = Tensor::<2>::from_floats([[2.0, -1.0, 10.0, 5.0]], &Device::flex());
        assert_eq!(host(&gate(Activation::Relu, packed.clone())), [20.0, 0.0]);
        assert_eq!(host(&gate(Activation::ReluSquared, packed)), [40.0, 0.0]);
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for activation in Activation::ALL {
            for (rows, width) in [(1, 1), (3, 17), (70, 33)] {
                let packed = scaled_leaf([rows, 2 * width], 1, 4.0);
                let fused = gate(activation, packed.clone());
                let fused = value_and_gradients(&fused, &[], &[&packed]);
                let plain = composed::gate(activation, packed.clone());
                let plain = value_and_gradients(&plain, &[], &[&packed]);
                assert_close(&fused, &plain, 2e-6, &format!("{activation:?} {rows} x {width}"));
            }
        }
    }
}
