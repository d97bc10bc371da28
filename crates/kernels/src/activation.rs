//! The non-linearities of the feed-forward layers.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::activation::{self, Activation};
use crate::flex::{dims, ordered, runs_fused, tensor, values, values_mut, vector};
use crate::rule::{Rule, Tensors, record_cheap};

/// `f(x + bias)` for `x: [rows, width]` and `bias: [width]`.
pub fn activate(activation: Activation, x: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    if runs_fused(&x) {
        return Tensor::from_dispatch(Dispatch::activate(
            x.into_dispatch(),
            bias.into_dispatch(),
            activation,
        ));
    }
    composed::activate(activation, x, bias)
}

/// A bias and a non-linearity.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait ActivationOps: Backend {
    /// `f(x + bias)`
    fn activate(
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
}

impl ActivationOps for Flex {
    fn activate(x: FlexTensor, bias: FlexTensor, activation: Activation) -> FlexTensor {
        let (x, bias) = (ordered(x), ordered(bias));
        tensor(activation::forward(activation, values(&x), values(&bias)), dims::<2>(&x))
    }
}

impl<C: CheckpointStrategy> ActivationOps for Autodiff<Flex, C> {
    fn activate(
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        // The widest rows of an encoder, from one pass over memory.
        let again = move |[x, bias]: [FlexTensor; 2]| Flex::activate(x, bias, activation);
        record_cheap::<_, C, _>([x, bias], again, Activate(activation))
    }
}

#[derive(Clone, Debug)]
struct Activate(Activation);

impl Rule<2> for Activate {
    const READS: [bool; 2] = [true, true];

    fn backward(self, inputs: Tensors<2>, mut g: FlexTensor, _wanted: [bool; 2]) -> Tensors<2> {
        let [x, bias] = inputs.map(|input| input.expect("read"));
        let sums = activation::backward(self.0, values(&x), values(&bias), values_mut(&mut g));
        [Some(g), Some(vector(sums))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, leaf, scaled_leaf, value_and_gradients};
    use burn::tensor::Device;

    /// Reference values: `torch.nn.functional.gelu(torch.tensor([-1., 0., 2.]), approximate=a)`.
    #[test]
    fn curves_are_those_of_pytorch() {
        let x = Tensor::<2>::from_floats([[-1.5, -0.5, 1.5]], &Device::flex());
        let bias = Tensor::<1>::from_floats([0.5, 0.5, 0.5], &Device::flex());
        let want = [
            [-0.158_655_26, 0.0, 1.954_499_7],
            [-0.158_808, 0.0, 1.954_597_7],
            [0.0, 0.0, 2.0],
            [0.0, 0.0, 4.0],
            [-0.268_941_43, 0.0, 1.761_594_2],
        ];
        for (activation, want) in Activation::ALL.into_iter().zip(want) {
            let got = activate(activation, x.clone(), bias.clone()).into_data();
            for (got, want) in got.iter::<f32>().zip(want) {
                assert!((got - want).abs() < 1e-6, "{got} is not {want}");
            }
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for activation in Activation::ALL {
            for (rows, width) in [(1, 1), (3, 17), (70, 33)] {
                let (x, bias) = (scaled_leaf([rows, width], 1, 4.0), leaf([width], 2));
                let fused = value_and_gradients(
                    &activate(activation, x.clone(), bias.clone()),
                    &[&bias],
                    &[&x],
                );
                let plain = composed::activate(activation, x.clone(), bias.clone());
                let plain = value_and_gradients(&plain, &[&bias], &[&x]);
                assert_close(&fused, &plain, 2e-6, &format!("{activation:?} {rows} x {width}"));
            }
        }
    }

    #[test]
    fn gradient_checkpointing_computes_the_same_gradients() {
        let gradients = |device: &Device| {
            let on = |x: &Tensor<2>| {
                Tensor::<2>::from_data(x.clone().into_data(), device).require_grad()
            };
            let (x, w) = (on(&leaf([9, 5], 1)), on(&leaf([5, 7], 2)));
            let bias = Tensor::<1>::from_data(leaf([5], 3).into_data(), device).require_grad();
            // Something must read the activation in the backward pass.
            let y = activate(Activation::Gelu, x.clone(), bias.clone()).matmul(w.clone());
            value_and_gradients(&y, &[&bias], &[&x, &w])
        };
        let device = Device::flex().autodiff();
        assert!(gradients(&device) == gradients(&device.clone().gradient_checkpointing()));
    }
}
