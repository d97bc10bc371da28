//! Token sequences on the host, padded to a rectangle, and their upload to a device.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// A batch of token sequences on the host, padded on the right to the longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequences {
    /// Tokens a sequence takes, padding included.
    pub len: usize,
    /// Token ids, `[batch * len]`.
    pub tokens: Vec<u32>,
    /// Segment ids, `[batch * len]`; empty when every segment is 0.
    pub segments: Vec<u32>,
    /// Real tokens of each sequence, `[batch]`.
    pub lengths: Vec<usize>,
}

impl Sequences {
    /// Pads `rows` with `pad` to the longest of them, all in segment 0.
    pub fn pad<R: AsRef<[u32]>>(rows: &[R], pad: u32) -> Self {
        let lengths: Vec<usize> = rows.iter().map(|row| row.as_ref().len()).collect();
        let len = lengths.iter().copied().max().unwrap_or(0);
        let mut tokens = vec![pad; len * rows.len()];
        for (row, place) in rows.iter().zip(tokens.chunks_mut(len.max(1))) {
            place[..row.as_ref().len()].copy_from_slice(row.as_ref());
        }
        Self { len, tokens, segments: Vec::new(), lengths }
    }

    /// Number of sequences.
    pub fn batch(&self) -> usize {
        self.lengths.len()
    }

    /// Tokens that are not padding.
    pub fn real_tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Puts the batch on `device`.
    pub fn upload(&self, device: &Device) -> Input {
        let ids = |values: &[u32]| {
            let values: Vec<i32> = values.iter().map(|id| *id as i32).collect();
            Tensor::<1, Int>::from_data(TensorData::new(values, [self.tokens.len()]), device)
        };
        let padded = self.lengths.iter().any(|length| *length < self.len);
        let bias = padded.then(|| {
            let line = |length: usize| (0..self.len).map(move |i| if i < length { 0.0 } else { PADDING_BIAS });
            let values: Vec<f32> = self.lengths.iter().flat_map(|length| line(*length)).collect();
            Tensor::from_data(TensorData::new(values, [self.batch(), 1, 1, self.len]), device)
        });
        let segments = (!self.segments.is_empty()).then(|| ids(&self.segments));
        Input { batch: self.batch(), len: self.len, tokens: ids(&self.tokens), segments, bias }
    }
}

/// Added to the score of a padded key. Its exponential is exactly 0 in single precision, and unlike an infinity it
/// leaves no NaN in a row of nothing but padding.
const PADDING_BIAS: f32 = -1e9;

/// A batch of token sequences on a device.
#[derive(Clone, Debug)]
pub struct Input {
    /// Sequences.
    pub batch: usize,
    /// Tokens a sequence takes, padding included.
    pub len: usize,
    /// Token ids, `[batch * len]`.
    pub tokens: Tensor<1, Int>,
    /// Segment ids, `[batch * len]`; none when every segment is 0.
    pub segments: Option<Tensor<1, Int>>,
    /// Added to attention scores, `[batch, 1, 1, len]`; none when nothing is padded.
    pub bias: Option<Tensor<4>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_to_the_longest() {
        let sequences = Sequences::pad(&[vec![1, 2, 3], vec![4]], 9);
        assert_eq!(sequences.tokens, [1, 2, 3, 4, 9, 9]);
        assert_eq!((sequences.len, sequences.batch(), sequences.real_tokens()), (3, 2, 4));
        let bias = sequences.upload(&Device::flex()).bias.expect("padded").into_data();
        assert_eq!(bias.try_into_vec::<f32>().expect("f32"), [0.0, 0.0, 0.0, 0.0, -1e9, -1e9]);
    }

    #[test]
    fn a_full_batch_has_no_bias() {
        assert!(Sequences::pad(&[vec![1, 2], vec![3, 4]], 0).upload(&Device::flex()).bias.is_none());
    }
}
