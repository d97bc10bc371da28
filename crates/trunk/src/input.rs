//! Token sequences, padded to a rectangle.

use burn::tensor::Device;
use kernels::Padding;

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

    /// The batch as the encoder on `device` takes it.
    pub fn input(&self, device: &Device) -> Input {
        Input {
            len: self.len,
            tokens: self.tokens.clone(),
            segments: self.segments.clone(),
            padding: Padding::new(self.lengths.clone(), self.len, device),
        }
    }
}

/// What an encoder takes.
#[derive(Clone, Debug)]
pub struct Input {
    /// Tokens a sequence takes, padding included.
    pub len: usize,
    /// Token ids, `[batch * len]`.
    pub tokens: Vec<u32>,
    /// Segment ids, `[batch * len]`; empty when every segment is 0.
    pub segments: Vec<u32>,
    /// Which tokens are padding.
    pub padding: Padding,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_to_the_longest() {
        let sequences = Sequences::pad(&[vec![1, 2, 3], vec![4]], 9);
        assert_eq!(sequences.tokens, [1, 2, 3, 4, 9, 9]);
        assert_eq!((sequences.len, sequences.batch(), sequences.real_tokens()), (3, 2, 4));
    }
}
