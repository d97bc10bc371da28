//! An output layer over a vocabulary, with and without a graph.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use crate::cpu::vocabulary::Layer;
use crate::flex::{dims, ordered, values};
use crate::precision::Precision;

/// An output layer, whose logits are `hidden table^T + bias`.
#[derive(Clone, Debug)]
pub struct OutputLayer {
    /// `[n, width]`
    pub hidden: Tensor<2>,
    /// `[vocabulary, width]`
    pub table: Tensor<2>,
    /// `[vocabulary]`
    pub bias: Tensor<1>,
    /// Of its products.
    pub precision: Precision,
}

impl OutputLayer {
    /// As the fused operations take it.
    pub(crate) fn without_graph(self) -> KnownLayer {
        fn primitive<const D: usize>(x: Tensor<D>) -> FlexTensor {
            plain(x).try_into_primitive::<Flex>().expect("a tensor of the CPU backend")
        }
        let Self { hidden, table, bias, precision } = self;
        KnownLayer {
            hidden: primitive(hidden),
            table: primitive(table),
            bias: primitive(bias),
            precision,
        }
    }
}

/// An output layer without a graph.
#[derive(Clone, Debug)]
pub(crate) struct KnownLayer {
    pub hidden: FlexTensor,
    pub table: FlexTensor,
    pub bias: FlexTensor,
    pub precision: Precision,
}

impl KnownLayer {
    /// Width of the hidden states.
    pub fn width(&self) -> usize {
        let [_, width] = dims(&self.table);
        width
    }

    /// `f` of its slices.
    pub fn with<R>(self, f: impl FnOnce(Layer<'_>) -> R) -> R {
        let width = self.width();
        let [hidden, table, bias] = [self.hidden, self.table, self.bias].map(ordered);
        let [hidden, table, bias] = [&hidden, &table, &bias].map(values);
        f(Layer { hidden, table, bias, width, precision: self.precision })
    }
}

/// The tensor without its graph.
pub(crate) fn plain<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if x.device().is_autodiff() { x.inner() } else { x }
}
