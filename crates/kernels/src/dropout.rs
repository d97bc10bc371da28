//! Dropout (Srivastava et al. 2014) from a counter-based generator, alone and in a residual sum.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::composed;
use crate::cpu::attention::weight_index;
use crate::cpu::dropout::{self, Mask, drop_rows};
use crate::flex::{dims, ordered, runs_fused, tensor, values, values_mut, vector};
use crate::rule::{Rule, Tensors, record};

/// Zeroes the elements of `x: [rows, width]` that `mask` drops and scales the others; the identity
/// without a mask.
///
/// # Panics
/// When the mask is of other rows.
pub fn dropout(x: Tensor<2>, mask: Option<Mask>) -> Tensor<2> {
    let Some(mask) = mask else { return x };
    assert_eq!(mask.rows.len(), x.dims()[0], "the rows of the mask");
    if runs_fused(&x) {
        return Tensor::from_dispatch(Dispatch::drop_rows(x.into_dispatch(), mask));
    }
    let factors = factors(&x, &mask);
    x * factors
}

/// `residual + dropout(x + bias)`, all of `[rows, width]` with `bias: [width]`: the end of a pre-LN
/// sublayer.
pub fn add_residual(
    residual: Tensor<2>,
    x: Tensor<2>,
    bias: Tensor<1>,
    mask: Option<Mask>,
) -> Tensor<2> {
    if runs_fused(&x) {
        let (residual, x, bias) =
            (residual.into_dispatch(), x.into_dispatch(), bias.into_dispatch());
        return Tensor::from_dispatch(Dispatch::add_residual(residual, x, bias, mask));
    }
    let factors = mask.map(|mask| factors(&x, &mask));
    composed::add_residual(residual, x, bias, factors)
}

/// The factors of the elements of `x`.
pub(crate) fn factors(x: &Tensor<2>, mask: &Mask) -> Tensor<2> {
    let [rows, width] = x.dims();
    let mut factors = vec![1.0f32; rows * width];
    drop_rows(&mut factors, width, mask);
    Tensor::from_data(TensorData::new(factors, [rows, width]), &x.device())
}

/// The factors of the attention weights of whole sequences of `len` tokens, `[batch, heads, len,
/// len]`.
pub(crate) fn weight_factors(mask: &Mask, heads: usize, len: usize, device: &Device) -> Tensor<4> {
    let batch = mask.rows.batch();
    let mut factors = vec![1.0f32; batch * heads * len * len];
    factors.par_chunks_mut(len).enumerate().for_each(|(i, row)| {
        let (key, head, query) = (mask.keys[i / (heads * len)], i / len % heads, (i % len) as u32);
        mask.apply(key, weight_index(head, query), row);
    });
    Tensor::from_data(TensorData::new(factors, [batch, heads, len, len]), device)
}

/// Dropout of rows.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait DropoutOps: Backend {
    /// `residual + dropout(x + bias)`
    fn add_residual(
        residual: FloatTensor<Self>,
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mask: Option<Mask>,
    ) -> FloatTensor<Self>;

    /// Dropout of rows.
    fn drop_rows(x: FloatTensor<Self>, mask: Mask) -> FloatTensor<Self>;
}

impl DropoutOps for Flex {
    fn add_residual(
        residual: FlexTensor,
        x: FlexTensor,
        bias: FlexTensor,
        mask: Option<Mask>,
    ) -> FlexTensor {
        let (residual, mut x, bias) = (ordered(residual), ordered(x), ordered(bias));
        dropout::add_residual(
            values_mut(&mut x),
            values(&residual),
            values(&bias),
            mask.as_ref(),
            None,
        );
        x
    }

    fn drop_rows(x: FlexTensor, mask: Mask) -> FlexTensor {
        let mut x = ordered(x);
        let [_, width] = dims(&x);
        drop_rows(values_mut(&mut x), width, &mask);
        x
    }
}

impl<C: CheckpointStrategy> DropoutOps for Autodiff<Flex, C> {
    fn add_residual(
        residual: FloatTensor<Self>,
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mask: Option<Mask>,
    ) -> FloatTensor<Self> {
        let rule = AddResidual(mask.clone());
        record::<_, C, _>([residual, x, bias], |[residual, x, bias]| {
            (Flex::add_residual(residual, x, bias, mask), rule)
        })
    }

    fn drop_rows(x: FloatTensor<Self>, mask: Mask) -> FloatTensor<Self> {
        let rule = DropRows(mask.clone());
        record::<_, C, _>([x], |[x]| (Flex::drop_rows(x, mask), rule))
    }
}

#[derive(Clone, Debug)]
struct AddResidual(Option<Mask>);

impl Rule<3> for AddResidual {
    const READS: [bool; 3] = [false, false, false];

    fn backward(self, _inputs: Tensors<3>, mut g: FlexTensor, _wanted: [bool; 3]) -> Tensors<3> {
        let shape: [usize; 2] = dims(&g);
        let found = dropout::residual_backward(values_mut(&mut g), shape[1], self.0.as_ref(), None);
        let x = if self.0.is_some() { tensor(found.x, shape) } else { g.clone() };
        [Some(g), Some(x), Some(vector(found.bias))]
    }
}

#[derive(Clone, Debug)]
struct DropRows(Mask);

impl Rule<1> for DropRows {
    const READS: [bool; 1] = [false];

    fn backward(self, _inputs: Tensors<1>, g: FlexTensor, _wanted: [bool; 1]) -> Tensors<1> {
        [Some(Flex::drop_rows(g, self.0))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;
    use crate::rows::Rows;
    use crate::testing::{assert_close, host, leaf, value_and_gradients};

    fn ones(rows: usize, width: usize) -> Tensor<2> {
        Tensor::ones([rows, width], &Device::flex())
    }

    fn mask(rate: f64, keys: &[u64], lengths: &[usize]) -> Option<Mask> {
        Mask::draw(Some(&mut Noise::new(keys.to_vec())), rate, &Rows::of_lengths(lengths))
    }

    #[test]
    fn the_share_of_zeros_is_the_rate_and_the_mean_is_kept() {
        let y = host(&dropout(ones(64, 512), mask(0.1, &[0, 1, 2, 3, 4, 5, 6, 7], &[8; 8])));
        let zeros = y.iter().filter(|v| **v == 0.0).count() as f64 / y.len() as f64;
        // Standard deviation of the share: sqrt(0.1 * 0.9 / 32768) = 1.7e-3.
        assert!((zeros - 0.1).abs() < 5.0 * 1.7e-3, "{zeros}");
        assert!(y.iter().all(|v| *v == 0.0 || (v - 1.0 / 0.9).abs() < 1e-6));
    }

    #[test]
    fn evaluation_and_rate_zero_draw_no_mask() {
        let rows = Rows::of_lengths(&[4]);
        assert!(Mask::draw(None, 0.5, &rows).is_none());
        assert!(Mask::draw(Some(&mut Noise::new(vec![1])), 0.0, &rows).is_none());
        assert_eq!(host(&dropout(ones(4, 3), None)), vec![1.0; 12]);
    }

    #[test]
    fn a_row_has_its_mask_whatever_stands_beside_it() {
        let both = host(&dropout(ones(6, 5), mask(0.3, &[11, 22], &[3, 3])));
        let alone = host(&dropout(ones(3, 5), mask(0.3, &[22], &[3])));
        assert_eq!(both[15..], alone[..]);
        let chosen = Rows::of(vec![vec![], vec![2, 0]]);
        let chosen = Mask::draw(Some(&mut Noise::new(vec![11, 22])), 0.3, &chosen);
        let chosen = host(&dropout(ones(2, 5), chosen));
        assert_eq!((&chosen[..5], &chosen[5..]), (&alone[10..], &alone[..5]));
    }

    #[test]
    fn padding_does_not_move_a_mask() {
        let short = host(&dropout(ones(3, 5), mask(0.3, &[7], &[3])));
        let long = host(&dropout(ones(9, 5), mask(0.3, &[7], &[9])));
        assert_eq!(short[..], long[..15]);
        let weights = |len: usize| {
            weight_factors(&mask(0.3, &[7], &[len]).expect("a mask"), 2, len, &Device::flex())
        };
        let cut = weights(9).slice([0..1, 0..2, 0..4, 0..4]);
        assert_eq!(host(&weights(4)), host(&cut));
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for (lengths, width) in [(&[1][..], 1), (&[5, 1, 9], 17), (&[40, 40], 64)] {
            let keys: Vec<u64> = (0..lengths.len() as u64).collect();
            let rows = lengths.iter().sum::<usize>();
            let (residual, x, bias) =
                (leaf([rows, width], 1), leaf([rows, width], 2), leaf([width], 3));
            let what = format!("{lengths:?} x {width}");
            let drawn = |rate| mask(rate, &keys, lengths);
            let fused = value_and_gradients(&dropout(x.clone(), drawn(0.4)), &[], &[&x]);
            let plain = x.clone() * factors(&x, &drawn(0.4).expect("a mask"));
            assert_close(&fused, &value_and_gradients(&plain, &[], &[&x]), 1e-6, &what);
            for rate in [0.0, 0.4] {
                let fused = add_residual(residual.clone(), x.clone(), bias.clone(), drawn(rate));
                let fused = value_and_gradients(&fused, &[&bias], &[&residual, &x]);
                let factors = drawn(rate).map(|mask| factors(&x, &mask));
                let plain =
                    composed::add_residual(residual.clone(), x.clone(), bias.clone(), factors);
                let plain = value_and_gradients(&plain, &[&bias], &[&residual, &x]);
                assert_close(&fused, &plain, 2e-6, &what);
            }
        }
    }
}
