//! The embeddings of tokens, segments and positions.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::embedding::{self, Lookup};
use crate::flex::{dims, ordered, runs_fused, tensor, values};
use crate::rule::{Rule, Tensors, record};

/// The sum of the rows of three tables of `[.., width]` that `lookup` names, `[rows, width]`.
/// Gradients are added in the order of the tokens, so they are the same for any number of threads.
///
/// # Panics
/// When an id or a position is not in its table.
pub fn embed(
    tokens: Tensor<2>,
    segments: Tensor<2>,
    positions: Tensor<2>,
    lookup: Lookup,
) -> Tensor<2> {
    if runs_fused(&tokens) {
        let (tokens, segments) = (tokens.into_dispatch(), segments.into_dispatch());
        return Tensor::from_dispatch(Dispatch::embed(
            tokens,
            segments,
            positions.into_dispatch(),
            lookup,
        ));
    }
    composed::embed(tokens, segments, positions, &lookup)
}

/// The rows `indices` of `x: [rows, width]`.
///
/// # Panics
/// When there is no such row.
pub fn gather(x: Tensor<2>, indices: Vec<u32>) -> Tensor<2> {
    if runs_fused(&x) {
        return Tensor::from_dispatch(Dispatch::gather(x.into_dispatch(), indices));
    }
    let indices = composed::ids(&indices, &x.device());
    x.select(0, indices)
}

/// Rows of tables.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait EmbeddingOps: Backend {
    /// Some rows.
    fn gather(x: FloatTensor<Self>, indices: Vec<u32>) -> FloatTensor<Self>;

    /// The sum of rows of three tables.
    fn embed(
        tokens: FloatTensor<Self>,
        segments: FloatTensor<Self>,
        positions: FloatTensor<Self>,
        lookup: Lookup,
    ) -> FloatTensor<Self>;
}

impl EmbeddingOps for Flex {
    fn gather(x: FlexTensor, indices: Vec<u32>) -> FlexTensor {
        let x = ordered(x);
        let [_, width] = dims(&x);
        tensor(embedding::gather(values(&x), &indices, width), [indices.len(), width])
    }

    fn embed(
        tokens: FlexTensor,
        segments: FlexTensor,
        positions: FlexTensor,
        lookup: Lookup,
    ) -> FlexTensor {
        let (tokens, segments, positions) =
            (ordered(tokens), ordered(segments), ordered(positions));
        let [_, width] = dims(&tokens);
        let out = embedding::forward(
            values(&tokens),
            values(&segments),
            values(&positions),
            width,
            &lookup,
        );
        tensor(out, [lookup.tokens.len(), width])
    }
}

impl<C: CheckpointStrategy> EmbeddingOps for Autodiff<Flex, C> {
    fn gather(x: FloatTensor<Self>, indices: Vec<u32>) -> FloatTensor<Self> {
        record::<_, C, _>([x], |[x]| {
            let [rows, _] = dims(&x);
            (Flex::gather(x, indices.clone()), Gather { rows, indices })
        })
    }

    fn embed(
        tokens: FloatTensor<Self>,
        segments: FloatTensor<Self>,
        positions: FloatTensor<Self>,
        lookup: Lookup,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([tokens, segments, positions], |[tokens, segments, positions]| {
            let rows = [&tokens, &segments, &positions].map(|table| dims::<2>(table)[0]);
            let rule = Embed { rows, lookup: lookup.clone() };
            (Flex::embed(tokens, segments, positions, lookup), rule)
        })
    }
}

#[derive(Clone, Debug)]
struct Gather {
    rows: usize,
    indices: Vec<u32>,
}

impl Rule<1> for Gather {
    const READS: [bool; 1] = [false];

    fn backward(self, _inputs: Tensors<1>, g: FlexTensor, _wanted: [bool; 1]) -> Tensors<1> {
        let [_, width] = dims(&g);
        let indices = self.indices.iter().map(|index| *index as usize);
        [Some(tensor(
            embedding::scatter(values(&g), indices, self.rows, width),
            [self.rows, width],
        ))]
    }
}

#[derive(Clone, Debug)]
struct Embed {
    rows: [usize; 3],
    lookup: Lookup,
}

impl Rule<3> for Embed {
    const READS: [bool; 3] = [false, false, false];

    fn backward(self, _inputs: Tensors<3>, g: FlexTensor, _wanted: [bool; 3]) -> Tensors<3> {
        let [_, width] = dims(&g);
        let tables = embedding::backward(values(&g), self.rows, width, &self.lookup);
        let mut rows = self.rows.into_iter();
        tables.map(|table| Some(tensor(table, [rows.next().expect("three tables"), width])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Rows;
    use crate::testing::{assert_close, leaf, value_and_gradients};

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for (lengths, width, segmented) in
            [(&[1][..], 1, false), (&[5, 2, 4], 7, true), (&[9, 9, 1, 9], 33, false)]
        {
            let rows = Rows::of_lengths(lengths);
            let (tokens, segments, positions) =
                (leaf([6, width], 1), leaf([2, width], 2), leaf([12, width], 3));
            let n = rows.len();
            let ids =
                |modulus: usize| (0..n).map(move |i| (i * i % modulus) as u32).collect::<Vec<_>>();
            let segments_of = if segmented { ids(2) } else { Vec::new() };
            let lookup = Lookup { tokens: ids(6), segments: segments_of, rows, offset: 2 };
            let (t, s, p) = (tokens.clone(), segments.clone(), positions.clone());
            let tables = [&tokens, &segments, &positions];
            let fused = value_and_gradients(&embed(t, s, p, lookup.clone()), &[], &tables);
            let (t, s, p) = (tokens.clone(), segments.clone(), positions.clone());
            let plain = value_and_gradients(&composed::embed(t, s, p, &lookup), &[], &tables);
            assert_close(&fused, &plain, 1e-6, &format!("{lengths:?} x {width}"));
        }
    }

    #[test]
    fn gathered_rows_send_their_gradients_back() {
        let x = leaf([7, 5], 1);
        let fused = value_and_gradients(&gather(x.clone(), vec![6, 0, 6]), &[], &[&x]);
        let plain = x.clone().select(0, composed::ids(&[6, 0, 6], &x.device()));
        assert_close(&fused, &value_and_gradients(&plain, &[], &[&x]), 1e-6, "three rows");
    }
}
