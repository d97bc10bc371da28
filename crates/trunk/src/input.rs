//! Token sequences, padded to a rectangle.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use kernels::{Rows, document_start};

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
    /// Whether the tokens of a sequence see no token after them, `[batch]`; empty when all see all.
    pub causal: Vec<bool>,
    /// The first positions of all documents of a sequence but its first, ascending, `[batch]`:
    /// tokens see no other document than theirs, and positions begin anew there. Empty: a sequence
    /// is one document.
    pub documents: Vec<Vec<u32>>,
}

impl Sequences {
    /// Pads `rows` with `pad` to the longest of them, all in segment 0.
    pub fn pad<R: AsRef<[u32]>>(rows: &[R], pad: u32) -> Self {
        let lengths: Vec<usize> = rows.iter().map(|row| row.as_ref().len()).collect();
        let len = lengths.iter().copied().max().unwrap_or(0);
        let mut tokens = vec![pad; len * rows.len()];
        for (row, flat) in rows.iter().zip(tokens.chunks_mut(len.max(1))) {
            flat[..row.as_ref().len()].copy_from_slice(row.as_ref());
        }
        Self {
            len,
            tokens,
            segments: Vec::new(),
            lengths,
            causal: Vec::new(),
            documents: Vec::new(),
        }
    }

    /// Gives every token its segment: `segments[row]` is as long as the row.
    ///
    /// # Panics
    /// When it is not.
    pub fn with_segments<R: AsRef<[u32]>>(mut self, segments: &[R]) -> Self {
        self.segments = vec![0; self.tokens.len()];
        for (row, segments) in segments.iter().enumerate() {
            assert_eq!(segments.as_ref().len(), self.lengths[row], "a segment a token");
            self.segments[row * self.len..][..self.lengths[row]].copy_from_slice(segments.as_ref());
        }
        self
    }

    /// Number of sequences.
    pub fn batch(&self) -> usize {
        self.lengths.len()
    }

    /// The tokens of each document of sequence `row`.
    pub(crate) fn document_lengths(&self, row: usize) -> Vec<usize> {
        let starts = self.documents.get(row).map_or(&[][..], Vec::as_slice);
        let starts = starts.iter().map(|start| *start as usize);
        let edges: Vec<usize> = [0].into_iter().chain(starts).chain([self.lengths[row]]).collect();
        edges.windows(2).map(|edge| edge[1] - edge[0]).collect()
    }

    /// Tokens that are not padding.
    pub fn real_tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The positions (sequence * len + position) of the tokens that are not padding, ascending.
    pub fn real_positions(&self) -> Vec<u32> {
        let row = |(row, length): (usize, &usize)| {
            let start = (row * self.len) as u32;
            start..start + *length as u32
        };
        self.lengths.iter().enumerate().flat_map(row).collect()
    }

    /// The matrix that takes the mean over the tokens of each sequence of `input`, which is these
    /// sequences' own, `[batch, rows]`.
    pub fn means(&self, input: &EncoderInput, device: &Device) -> Tensor<2> {
        let (batch, rows) = (self.batch(), input.rows.len());
        let mut values = vec![0.0f32; batch * rows];

        let tokens = input.rows.sequences().iter().zip(input.rows.positions());
        for (row, (sequence, position)) in tokens.enumerate() {
            let length = self.lengths[*sequence as usize];
            if (*position as usize) < length {
                values[*sequence as usize * rows + row] = 1.0 / length as f32;
            }
        }

        Tensor::<1>::from_data(values.as_slice(), device).reshape([batch, rows])
    }

    /// The batch as the encoder on `device` takes it.
    pub fn input(&self, device: &Device) -> EncoderInput {
        if kernels::is_fused(device) {
            self.of_rows(Rows::of_lengths(&self.lengths), None)
        } else {
            self.padded_input(device)
        }
    }

    /// The batch as a rectangle with its padding, on every device.
    pub fn padded_input(&self, device: &Device) -> EncoderInput {
        let rows = Rows::of_lengths(&vec![self.len; self.batch()]);
        self.of_rows(rows, kernels::padding_bias(&self.lengths, self.len, device))
    }

    fn of_rows(&self, rows: Rows, bias: Option<Tensor<4>>) -> EncoderInput {
        let flat = |(row, position): (&u32, &u32)| *row as usize * self.len + *position as usize;
        let positions = || rows.sequences().iter().zip(rows.positions()).map(flat);
        let segments = if self.segments.is_empty() {
            Vec::new()
        } else {
            positions().map(|i| self.segments[i]).collect()
        };
        EncoderInput {
            tokens: positions().map(|i| self.tokens[i]).collect(),
            segments,
            causal: self.causal.as_slice().into(),
            documents: self.documents.as_slice().into(),
            len: self.len,
            bias,
            rows,
        }
    }
}

/// What an encoder takes: the real tokens where the device computes rows of any length, else
/// padding too.
#[derive(Clone, Debug)]
pub struct EncoderInput {
    /// The token of each row.
    pub tokens: Vec<u32>,
    /// The segment of each row; empty when every segment is 0.
    pub segments: Vec<u32>,
    /// Which token of which sequence each row is.
    pub rows: Rows,
    /// Hides padding from attention.
    pub bias: Option<Tensor<4>>,
    /// Whether the rows of a sequence see no row after them, for each sequence; empty when all see
    /// all.
    pub causal: Arc<[bool]>,
    /// As [`Sequences::documents`].
    pub documents: Arc<[Vec<u32>]>,
    len: usize,
}

impl EncoderInput {
    /// The rows with their positions in their documents, as absolute position embeddings count.
    pub fn rows_in_documents(&self) -> Rows {
        if self.documents.iter().all(Vec::is_empty) {
            return self.rows.clone();
        }
        let sequence = |number: usize| {
            let starts = self.documents.get(number).map_or(&[][..], Vec::as_slice);
            let positions = &self.rows.positions()[self.rows.range(number)];
            positions.iter().map(move |position| position - document_start(starts, *position))
        };
        Rows::of((0..self.rows.batch()).map(sequence))
    }

    /// The row of `position` (sequence * len + position of [`Sequences`]).
    pub fn row(&self, flat: u32) -> u32 {
        let (sequence, position) = (flat as usize / self.len, flat as usize % self.len);
        (self.rows.range(sequence).start + position) as u32
    }

    /// The rows of `positions` and which tokens they are. Positions must be in ascending order.
    pub fn select(&self, positions: &[u32]) -> (Vec<u32>, Rows) {
        let indices: Vec<u32> = positions.iter().map(|flat| self.row(*flat)).collect();
        let mut groups = vec![Vec::new(); self.rows.batch()];
        for index in &indices {
            let index = *index as usize;
            groups[self.rows.sequences()[index] as usize].push(self.rows.positions()[index]);
        }
        (indices, Rows::of(groups))
    }
}

/// All positions of several groups, in ascending order, once each.
pub fn union(groups: &[&[u32]]) -> Vec<u32> {
    let mut positions = groups.concat();
    positions.sort_unstable();
    positions.dedup();
    positions
}

/// Where each of `wanted` stands in `positions`, which are in ascending order and hold it.
pub fn indices(positions: &[u32], wanted: &[u32]) -> Vec<u32> {
    wanted.iter().map(|wanted| positions.partition_point(|flat| flat < wanted) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_holds_every_place_once() {
        let positions = union(&[&[4, 9, 4], &[2, 9]]);
        assert_eq!(positions, [2, 4, 9]);
        assert_eq!(indices(&positions, &[9, 9, 2]), [2, 2, 0]);
    }

    #[test]
    fn segments_are_padded_like_tokens() {
        let sequences =
            Sequences::pad(&[vec![1, 2, 3], vec![4]], 9).with_segments(&[vec![0, 1, 1], vec![1]]);
        assert_eq!(sequences.segments, [0, 1, 1, 1, 0, 0]);
    }

    #[test]
    fn means_are_over_the_tokens_that_are_no_padding() {
        let (device, sequences) = (Device::flex(), Sequences::pad(&[vec![1, 2], vec![4]], 9));
        let weights = |input: &EncoderInput| -> Vec<f32> {
            sequences.means(input, &device).into_data().iter::<f32>().collect()
        };
        assert_eq!(weights(&sequences.input(&device)), [0.5, 0.5, 0.0, 0.0, 0.0, 1.0]);
        let padded = sequences.padded_input(&device);
        assert_eq!(weights(&padded), [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn rows_are_padded_to_the_longest() {
        let sequences = Sequences::pad(&[vec![1, 2, 3], vec![4]], 9);
        assert_eq!(sequences.tokens, [1, 2, 3, 4, 9, 9]);
        assert_eq!((sequences.len, sequences.batch(), sequences.real_tokens()), (3, 2, 4));
        assert_eq!(sequences.real_positions(), [0, 1, 2, 3]);
        let input = sequences.input(&Device::flex());
        assert_eq!((&input.tokens[..], input.row(2), input.row(3)), (&[1, 2, 3, 4][..], 2, 3));
        let (indices, rows) = input.select(&[1, 3]);
        assert_eq!((indices, rows), (vec![1, 3], Rows::of(vec![vec![1], vec![0]])));
    }
}
