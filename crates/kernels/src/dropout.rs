//! Dropout (Srivastava et al. 2014) from a counter-based generator, alone and in a residual sum.

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::composed;
use crate::cpu::attention::weight_index;
use crate::cpu::dropout::Mask;
use crate::fused::{Fused, runs_fused};
use crate::noise::Noise;

/// Zeroes each element of `x: [batch * len, width]` with probability `rate` and scales the others by `1 / (1 - rate)`;
/// the identity without `noise` (evaluation) or with `rate` 0.
///
/// # Panics
/// When the rows of `x` are not a multiple of the sequences of `noise`, or `rate` is not in `[0, 1)`.
pub fn dropout(x: Tensor<2>, rate: f64, noise: Option<&mut Noise>) -> Tensor<2> {
    if runs_fused(&x) {
        let Some(mask) = mask(rate, noise) else { return x };
        return Tensor::from_dispatch(Dispatch::drop_rows(x.into_dispatch(), mask));
    }
    match drawn_rows(&x, rate, noise) {
        Some(mask) => x * mask,
        None => x,
    }
}

/// `residual + dropout(x + bias)`, all of `[rows, width]` with `bias: [width]`: the end of a pre-LN sublayer.
pub fn add_residual(
    residual: Tensor<2>,
    x: Tensor<2>,
    bias: Tensor<1>,
    rate: f64,
    noise: Option<&mut Noise>,
) -> Tensor<2> {
    if runs_fused(&x) {
        let (residual, x, bias) = (residual.into_dispatch(), x.into_dispatch(), bias.into_dispatch());
        return Tensor::from_dispatch(Dispatch::add_residual(residual, x, bias, mask(rate, noise)));
    }
    let mask = drawn_rows(&x, rate, noise);
    composed::add_residual(residual, x, bias, mask)
}

/// The mask of the next place of a pass that drops something; none in evaluation and with a rate of 0.
pub(crate) fn mask(rate: f64, noise: Option<&mut Noise>) -> Option<Mask> {
    assert!((0.0..1.0).contains(&rate), "a dropout rate is in [0, 1), not {rate}");
    let noise = noise?;
    (rate > 0.0).then(|| Mask::new(noise.next_site(), rate))
}

/// The factors of the rows of `x`. Positions come before channels, so an element's number within its sequence does not
/// depend on the padding.
pub(crate) fn drawn_rows(x: &Tensor<2>, rate: f64, noise: Option<&mut Noise>) -> Option<Tensor<2>> {
    let [rows, width] = x.dims();
    let mask = mask(rate, noise)?;
    let sequence = rows / mask.keys.len() * width;
    assert_eq!(sequence * mask.keys.len(), rows * width, "rows of whole sequences");
    let mut factors = vec![1.0f32; rows * width];
    let rows_of = factors.par_chunks_mut(sequence.max(1)).zip(&mask.keys);
    rows_of.for_each(|(factors, key)| mask.apply(*key, 0, factors));
    Some(Tensor::from_data(TensorData::new(factors, [rows, width]), &x.device()))
}

/// The factors of the attention weights, `[batch, heads, len, len]`.
pub(crate) fn drawn_weights(
    batch: usize,
    heads: usize,
    len: usize,
    rate: f64,
    noise: Option<&mut Noise>,
    device: &Device,
) -> Option<Tensor<4>> {
    let mask = mask(rate, noise)?;
    assert_eq!(batch, mask.keys.len(), "one key a sequence");
    let mut factors = vec![1.0f32; batch * heads * len * len];
    factors.par_chunks_mut(len).enumerate().for_each(|(i, row)| {
        let (key, head, query) = (mask.keys[i / (heads * len)], i / len % heads, i % len);
        mask.apply(key, weight_index(head, query), row);
    });
    Some(Tensor::from_data(TensorData::new(factors, [batch, heads, len, len]), device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, leaf, value_and_gradients};

    fn ones(rows: usize, width: usize) -> Tensor<2> {
        Tensor::ones([rows, width], &Device::flex())
    }

    fn noise(keys: &[u64]) -> Option<Noise> {
        Some(Noise::new(keys.to_vec()))
    }

    #[test]
    fn the_share_of_zeros_is_the_rate_and_the_mean_is_kept() {
        let y = host(&dropout(ones(64, 512), 0.1, noise(&[0, 1, 2, 3, 4, 5, 6, 7]).as_mut()));
        let zeros = y.iter().filter(|v| **v == 0.0).count() as f64 / y.len() as f64;
        // Standard deviation of the share: sqrt(0.1 * 0.9 / 32768) = 1.7e-3.
        assert!((zeros - 0.1).abs() < 5.0 * 1.7e-3, "{zeros}");
        assert!(y.iter().all(|v| *v == 0.0 || (v - 1.0 / 0.9).abs() < 1e-6));
    }

    #[test]
    fn evaluation_and_rate_zero_change_nothing() {
        assert_eq!(host(&dropout(ones(4, 3), 0.5, None)), vec![1.0; 12]);
        assert_eq!(host(&dropout(ones(4, 3), 0.0, noise(&[1]).as_mut())), vec![1.0; 12]);
    }

    #[test]
    fn a_sequence_has_its_mask_whatever_stands_beside_it() {
        let both = host(&dropout(ones(6, 5), 0.3, noise(&[11, 22]).as_mut()));
        let alone = host(&dropout(ones(3, 5), 0.3, noise(&[22]).as_mut()));
        assert_eq!(both[15..], alone[..]);
    }

    #[test]
    fn padding_does_not_move_a_mask() {
        let short = host(&dropout(ones(3, 5), 0.3, noise(&[7]).as_mut()));
        let long = host(&dropout(ones(9, 5), 0.3, noise(&[7]).as_mut()));
        assert_eq!(short[..], long[..15]);
        let weights = |len: usize| {
            drawn_weights(1, 2, len, 0.3, noise(&[7]).as_mut(), &Device::flex()).expect("a mask")
        };
        let cut = weights(9).slice([0..1, 0..2, 0..4, 0..4]);
        assert_eq!(host(&weights(4)), host(&cut));
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for (sequences, len, width) in [(1, 1, 1), (3, 5, 17), (2, 40, 64)] {
            let keys: Vec<u64> = (0..sequences as u64).collect();
            let rows = sequences * len;
            let (residual, x, bias) = (leaf([rows, width], 1), leaf([rows, width], 2), leaf([width], 3));
            let what = format!("{sequences} x {len} x {width}");
            let fused = value_and_gradients(&dropout(x.clone(), 0.4, noise(&keys).as_mut()), &[], &[&x]);
            let mask = drawn_rows(&x, 0.4, noise(&keys).as_mut()).expect("a mask");
            assert_close(&fused, &value_and_gradients(&(x.clone() * mask), &[], &[&x]), 1e-6, &what);
            for rate in [0.0, 0.4] {
                let (r, z, b) = (residual.clone(), x.clone(), bias.clone());
                let fused = add_residual(r, z, b, rate, noise(&keys).as_mut());
                let fused = value_and_gradients(&fused, &[&bias], &[&residual, &x]);
                let mask = drawn_rows(&x, rate, noise(&keys).as_mut());
                let plain = composed::add_residual(residual.clone(), x.clone(), bias.clone(), mask);
                let plain = value_and_gradients(&plain, &[&bias], &[&residual, &x]);
                assert_close(&fused, &plain, 2e-6, &what);
            }
        }
    }
}
