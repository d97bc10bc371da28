//! Scaled dot-product attention with several heads (Vaswani et al. 2017, section 3.2).

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor};

use crate::composed;
use crate::cpu::attention::Heads;
use crate::dropout::{drawn_weights, mask};
use crate::fused::{Fused, is_fused, runs_fused};
use crate::noise::Noise;

/// Which tokens of a batch are padding.
#[derive(Clone, Debug)]
pub struct Padding {
    /// Real tokens of each sequence.
    pub(crate) lengths: Vec<usize>,
    /// Added to the scores: `[batch, 1, 1, len]`. Only for backends without the fused operation, and only when there
    /// is padding.
    pub(crate) bias: Option<Tensor<4>>,
}

impl Padding {
    /// Added to the score of a padded key. Its exponential is exactly 0 in single precision, and unlike an infinity it
    /// leaves a row of padding finite.
    pub(crate) const HIDDEN: f32 = -1e9;

    /// The padding of sequences of `len` tokens, of which the first `lengths[i]` are real.
    ///
    /// # Panics
    /// When a sequence is empty or longer than `len`.
    pub fn new(lengths: Vec<usize>, len: usize, device: &Device) -> Self {
        assert!(lengths.iter().all(|length| (1..=len).contains(length)), "lengths between 1 and {len}: {lengths:?}");
        let padded = lengths.iter().any(|length| *length < len);
        let bias = (padded && !is_fused(device)).then(|| composed::padding_bias(&lengths, len, device));
        Self { lengths, bias }
    }
}

/// What an attention layer needs besides queries, keys and values.
#[derive(Debug)]
pub struct Attention<'a> {
    /// Heads; they split the width evenly.
    pub heads: usize,
    /// Which keys are not seen.
    pub padding: &'a Padding,
    /// Dropout rate of the weights.
    pub dropout: f64,
}

/// `softmax(Q K^T / sqrt(d / heads)) V`, per head, for packed rows `[q, k, v]` of shape `[batch * len, 3 * d]`; the
/// result is `[batch * len, d]`. Keys that are padding have no weight; what stands in the rows of padding is not defined.
pub fn attention(packed: Tensor<2>, options: &Attention<'_>, noise: Option<&mut Noise>) -> Tensor<2> {
    if runs_fused(&packed) {
        let mask = mask(options.dropout, noise);
        let shape = Heads { heads: options.heads, lengths: options.padding.lengths.clone(), mask };
        return Tensor::from_dispatch(Dispatch::attend(packed.into_dispatch(), shape));
    }
    let [rows, _] = packed.dims();
    let batch = options.padding.lengths.len();
    let mask = drawn_weights(batch, options.heads, rows / batch, options.dropout, noise, &packed.device());
    composed::attention(packed, options, mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, in_pool, leaf, value_and_gradients};
    use burn::tensor::TensorData;

    fn rows(values: &[f32], width: usize) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / width, width]), &Device::flex())
    }

    fn padding(lengths: &[usize], len: usize) -> Padding {
        Padding::new(lengths.to_vec(), len, &Device::flex())
    }

    #[test]
    fn equal_scores_average_the_values_and_padding_is_not_seen() {
        // Zero queries: every visible key weighs the same. One sequence of three positions, two heads of width 1.
        let packed = rows(
            &[
                [0.0, 0.0, 5.0, -1.0, 1.0, 10.0],
                [0.0, 0.0, 3.0, 2.0, 3.0, 30.0],
                [0.0, 0.0, 9.0, 9.0, 500.0, 700.0],
            ]
            .concat(),
            6,
        );
        let padding = padding(&[2], 3);
        let out = attention(packed, &Attention { heads: 2, padding: &padding, dropout: 0.0 }, None);
        assert_eq!(host(&out)[..4], [2.0, 20.0, 2.0, 20.0]);
    }

    #[test]
    fn a_sequence_does_not_see_its_neighbours() {
        let x: Vec<f32> = (0..48).map(|i| (i as f32 * 0.7).sin()).collect();
        let attend = |x: &[f32], lengths: &[usize]| {
            let padding = padding(lengths, 2);
            host(&attention(rows(x, 12), &Attention { heads: 2, padding: &padding, dropout: 0.0 }, None))
        };
        assert_eq!(attend(&x, &[2, 2])[8..], attend(&x[24..], &[2]));
    }

    /// Batch, length, heads, width of a head, real tokens of each sequence.
    const SHAPES: [(usize, usize, usize, &[usize]); 6] = [
        (1, 1, 1, &[1]),
        (5, 1, 8, &[5]),
        (7, 3, 5, &[7, 4]),
        (9, 2, 16, &[1, 9, 3]),
        (33, 2, 17, &[33, 20]),
        (70, 1, 64, &[70]),
    ];

    /// The composed operation also computes rows of padding, so the comparison sets them to zero in both.
    fn both(dropout: f64, seed: u32) {
        for (len, heads, width, lengths) in SHAPES {
            let d = heads * width;
            let packed = leaf([lengths.len() * len, 3 * d], seed);
            let device = packed.device();
            let real: Vec<f32> =
                lengths.iter().flat_map(|n| (0..len).map(move |i| if i < *n { 1.0 } else { 0.0 })).collect();
            let real = Tensor::<1>::from_data(real.as_slice(), &device).unsqueeze_dim::<2>(1);
            let noise = || (dropout > 0.0).then(|| Noise::new((0..lengths.len() as u64).collect()));
            let fused_padding = Padding::new(lengths.to_vec(), len, &device);
            let options = Attention { heads, padding: &fused_padding, dropout };
            let fused = attention(packed.clone(), &options, noise().as_mut()) * real.clone();
            let fused = value_and_gradients(&fused, &[], &[&packed]);
            let plain_padding =
                Padding { lengths: lengths.to_vec(), bias: Some(composed::padding_bias(lengths, len, &device)) };
            let options = Attention { heads, padding: &plain_padding, dropout };
            let mask = drawn_weights(lengths.len(), heads, len, dropout, noise().as_mut(), &device);
            let plain = composed::attention(packed.clone(), &options, mask) * real;
            let plain = value_and_gradients(&plain, &[], &[&packed]);
            assert_close(&fused, &plain, 5e-6, &format!("{lengths:?} of {len}, {heads} heads of {width}"));
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        (0..5).for_each(|seed| both(0.0, seed));
    }

    #[test]
    fn the_same_weights_are_dropped_as_in_the_composed_operation() {
        (0..5).for_each(|seed| both(0.3, seed));
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let run = |threads| {
            in_pool(threads, || {
                let packed = leaf([6 * 31, 3 * 24], 5);
                let padding = padding(&[31, 7, 20, 31, 1, 30], 31);
                let options = Attention { heads: 3, padding: &padding, dropout: 0.1 };
                let out = attention(packed.clone(), &options, Some(&mut Noise::new((0..6).collect())));
                value_and_gradients(&out, &[], &[&packed])
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
