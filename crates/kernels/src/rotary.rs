//! Rotary position embeddings (Su et al. 2021): queries and keys turn with their positions, so that
//! their products depend on the distance alone.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::rotary::{self, Rotary, Turn};
use crate::flex::{dims, ordered, runs_fused, values_mut};
use crate::rows::Rows;
use crate::rule::{Rule, Tensors, record};

/// Rotates the first `columns` columns of `x: [rows, width]`, which are heads one after another, by
/// the positions of `rows`; the other columns stay as they are. Element j of a head makes a pair
/// with the one half a head later, as in GPT-NeoX and ModernBERT.
///
/// # Panics
/// When a position has no angles, or `columns` are no whole heads.
pub fn rotate(x: Tensor<2>, rotary: &Rotary, columns: usize, rows: &Rows) -> Tensor<2> {
    let [_, width] = x.dims();
    assert!(columns <= width && columns.is_multiple_of(2 * rotary.half()), "whole heads");
    if runs_fused(&x) {
        let rotation = Rotation { rotary: rotary.clone(), columns, rows: rows.clone() };
        return Tensor::from_dispatch(Dispatch::rotate(x.into_dispatch(), rotation));
    }
    composed::rotate(x, rotary, columns, rows.positions())
}

/// What is rotated, and by which angles.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    rotary: Rotary,
    columns: usize,
    rows: Rows,
}

impl Rotation {
    fn apply(&self, x: FlexTensor, turn: Turn) -> FlexTensor {
        let mut x = ordered(x);
        let [_, width] = dims(&x);
        let positions = self.rows.positions();
        rotary::rotate(values_mut(&mut x), width, self.columns, positions, &self.rotary, turn);
        x
    }
}

/// Rotation of rows.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait RotaryOps: Backend {
    /// The rotated rows.
    fn rotate(x: FloatTensor<Self>, rotation: Rotation) -> FloatTensor<Self>;
}

impl RotaryOps for Flex {
    fn rotate(x: FlexTensor, rotation: Rotation) -> FlexTensor {
        rotation.apply(x, Turn::Forward)
    }
}

impl<C: CheckpointStrategy> RotaryOps for Autodiff<Flex, C> {
    fn rotate(x: FloatTensor<Self>, rotation: Rotation) -> FloatTensor<Self> {
        record::<_, C, _>([x], |[x]| (rotation.apply(x, Turn::Forward), rotation.clone()))
    }
}

impl Rule<1> for Rotation {
    const READS: [bool; 1] = [false];

    fn backward(self, _inputs: Tensors<1>, g: FlexTensor, _wanted: [bool; 1]) -> Tensors<1> {
        [Some(self.apply(g, Turn::Back))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, in_pool, leaf, value_and_gradients};
    use burn::tensor::{Device, TensorData};

    #[test]
    fn a_pair_turns_by_its_position() {
        // Heads of two elements: the angle is the position in radians.
        let x = Tensor::<2>::from_floats([[1.0, 0.0, 7.0], [1.0, 0.0, 7.0]], &Device::flex());
        let rows = Rows::of(vec![vec![0, 2]]);
        let turned = host(&rotate(x, &Rotary::new(2, 3, 1e4), 2, &rows));
        let want = [1.0, 0.0, 7.0, 2.0f32.cos(), 2.0f32.sin(), 7.0];
        assert_close(&[turned], &[want.to_vec()], 1e-6, "two radians");
    }

    #[test]
    fn products_depend_on_the_distance_alone() {
        let rotary = Rotary::new(16, 64, 1e4);
        let product = |query: u32, key: u32| {
            let turned = |seed, position| {
                rotate(leaf([1, 16], seed), &rotary, 16, &Rows::of(vec![vec![position]]))
            };
            host(&(turned(1, query) * turned(2, key)).sum())[0]
        };
        for distance in [0, 1, 9] {
            let first = product(distance, 0);
            for key in [1, 20, 50] {
                assert!((product(key + distance, key) - first).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for (width, heads, more, lengths) in
            [(2, 1, 0, &[1][..]), (8, 3, 24, &[5, 1, 9]), (64, 2, 128, &[40, 3])]
        {
            let (columns, rows) = (width * heads, Rows::of_lengths(lengths));
            let x = leaf([rows.len(), columns + more], 3);
            let rotary = Rotary::new(width, 40, 160_000.0);
            let fused = rotate(x.clone(), &rotary, columns, &rows);
            let plain = composed::rotate(x.clone(), &rotary, columns, rows.positions());
            let fused = value_and_gradients(&fused, &[], &[&x]);
            let plain = value_and_gradients(&plain, &[], &[&x]);
            assert_close(&fused, &plain, 1e-6, &format!("{heads} heads of {width}"));
        }
    }

    #[test]
    fn angles_are_those_of_transformers() {
        // ModernBertRotaryEmbedding with head_dim 4 and base 10,000: inv_freq = [1, 0.01].
        let rotary = Rotary::new(4, 101, 1e4);
        let (cosines, sines) = rotary.of(100);
        let want = [100f64.cos(), 1f64.cos(), 100f64.sin(), 1f64.sin()];
        for (got, want) in cosines.iter().chain(sines).zip(want) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{got} is not {want}");
        }
        assert_eq!((rotary.positions(), rotary.half()), (101, 2));
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let run = |threads| {
            in_pool(threads, || {
                let (x, rows) = (leaf([700, 96], 5), Rows::of_lengths(&[350, 350]));
                let y = rotate(x.clone(), &Rotary::new(32, 350, 1e4), 64, &rows);
                value_and_gradients(&y, &[], &[&x])
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }

    #[test]
    fn a_tensor_that_is_shared_is_not_overwritten() {
        let x = Tensor::<2>::from_data(TensorData::new(vec![1.0f32; 8], [2, 4]), &Device::flex());
        let _ = rotate(x.clone(), &Rotary::new(4, 2, 1e4), 4, &Rows::of_lengths(&[2]));
        assert_eq!(host(&x), [1.0; 8]);
    }
}
