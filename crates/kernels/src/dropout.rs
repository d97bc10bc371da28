//! Dropout (Srivastava et al. 2014) from a counter-based generator.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use crate::noise::{Noise, draw};

/// Zeroes each element of `x: [batch * len, width]` with probability `rate` and scales the others by `1 / (1 - rate)`;
/// the identity without `noise` (evaluation) or with `rate` 0.
///
/// # Panics
/// When the rows of `x` are not a multiple of the sequences of `noise`, or `rate` is not in `[0, 1)`.
pub fn dropout(x: Tensor<2>, rate: f64, noise: Option<&mut Noise>) -> Tensor<2> {
    let [rows, width] = x.dims();
    let Some(keys) = keys(rate, noise) else { return x };
    assert_eq!(rows % keys.len(), 0, "rows of whole sequences");
    // Positions come before channels, so an element's number within its sequence does not depend on the padding.
    let mask = mask(&keys, [1, rows / keys.len(), width], [0, width as u32], rate);
    let mask = Tensor::from_data(TensorData::new(mask, [rows, width]), &x.device());
    x * mask
}

/// Dropout on attention weights `[batch, heads, len, len]`.
pub(crate) fn dropout_weights(x: Tensor<4>, rate: f64, noise: Option<&mut Noise>) -> Tensor<4> {
    let [batch, heads, queries, len] = x.dims();
    let Some(keys) = keys(rate, noise) else { return x };
    assert_eq!(batch, keys.len(), "one key a sequence");
    // Fixed strides, so that an element's number does not depend on the padding: 2^12 positions, 2^8 heads.
    let mask = mask(&keys, [heads, queries, len], [1 << 24, 1 << 12], rate);
    let mask = Tensor::from_data(TensorData::new(mask, [batch, heads, queries, len]), &x.device());
    x * mask
}

fn keys(rate: f64, noise: Option<&mut Noise>) -> Option<Vec<u64>> {
    assert!((0.0..1.0).contains(&rate), "a dropout rate is in [0, 1), not {rate}");
    let noise = noise?;
    (rate > 0.0).then(|| noise.next_site())
}

/// The mask of `keys.len()` sequences of shape `[a, b, c]`, whose element (i, j, k) is number
/// `i * strides[0] + j * strides[1] + k`.
fn mask(keys: &[u64], [a, b, c]: [usize; 3], strides: [u32; 2], rate: f64) -> Vec<f32> {
    let threshold = (rate * f64::from(u32::MAX)) as u32;
    let scale = (1.0 / (1.0 - rate)) as f32;
    let mut mask = vec![0.0f32; keys.len() * a * b * c];
    mask.par_chunks_mut(a * b * c).zip(keys).for_each(|(sequence, &key)| {
        for (line, values) in sequence.chunks_mut(c).enumerate() {
            let (i, j) = ((line / b) as u32, (line % b) as u32);
            let start = i.wrapping_mul(strides[0]).wrapping_add(j.wrapping_mul(strides[1]));
            for (k, value) in values.iter_mut().enumerate() {
                let kept = draw(key, start.wrapping_add(k as u32)) >= threshold;
                *value = if kept { scale } else { 0.0 };
            }
        }
    });
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn ones(rows: usize, width: usize) -> Tensor<2> {
        Tensor::ones([rows, width], &Device::flex())
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_into_vec().expect("f32")
    }

    #[test]
    fn the_share_of_zeros_is_the_rate_and_the_mean_is_kept() {
        let y = values(dropout(ones(64, 512), 0.1, Some(&mut Noise::new((0..8).collect()))));
        let zeros = y.iter().filter(|v| **v == 0.0).count() as f64 / y.len() as f64;
        // Standard deviation of the share: sqrt(0.1 * 0.9 / 32768) = 1.7e-3.
        assert!((zeros - 0.1).abs() < 5.0 * 1.7e-3, "{zeros}");
        assert!(y.iter().all(|v| *v == 0.0 || (v - 1.0 / 0.9).abs() < 1e-6));
    }

    #[test]
    fn evaluation_and_rate_zero_change_nothing() {
        assert_eq!(values(dropout(ones(4, 3), 0.5, None)), vec![1.0; 12]);
        assert_eq!(values(dropout(ones(4, 3), 0.0, Some(&mut Noise::new(vec![1])))), vec![1.0; 12]);
    }

    #[test]
    fn a_sequence_has_its_mask_whatever_stands_beside_it() {
        let both = values(dropout(ones(6, 5), 0.3, Some(&mut Noise::new(vec![11, 22]))));
        let alone = values(dropout(ones(3, 5), 0.3, Some(&mut Noise::new(vec![22]))));
        assert_eq!(both[15..], alone[..]);
    }

    #[test]
    fn padding_does_not_move_a_mask() {
        let short = values(dropout(ones(3, 5), 0.3, Some(&mut Noise::new(vec![7]))));
        let long = values(dropout(ones(9, 5), 0.3, Some(&mut Noise::new(vec![7]))));
        assert_eq!(short[..], long[..15]);
        let weights = |len: usize| {
            let x = Tensor::<4>::ones([1, 2, len, len], &Device::flex());
            dropout_weights(x, 0.3, Some(&mut Noise::new(vec![7])))
        };
        let cut = weights(9).slice([0..1, 0..2, 0..4, 0..4]);
        assert_eq!(values(weights(4)), values(cut));
    }
}
