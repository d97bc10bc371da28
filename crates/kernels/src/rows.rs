//! Which token of which sequence each row of a hidden state is.

use std::sync::Arc;

/// The rows of a hidden state, sequence after sequence. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows(Arc<RowIndex>);

#[derive(Debug, PartialEq, Eq)]
struct RowIndex {
    /// The first row of each sequence, and the number of rows, `[batch + 1]`.
    starts: Vec<usize>,
    /// The sequence of each row.
    sequences: Vec<u32>,
    /// The token within its sequence of each row.
    positions: Vec<u32>,
}

impl Rows {
    /// The first `lengths[i]` tokens of each sequence, without a gap.
    pub fn of_lengths(lengths: &[usize]) -> Self {
        Self::of(lengths.iter().map(|length| 0..*length as u32))
    }

    /// The tokens at given positions of each sequence.
    pub fn of<P: IntoIterator<Item = u32>>(positions: impl IntoIterator<Item = P>) -> Self {
        let mut index = RowIndex { starts: vec![0], sequences: Vec::new(), positions: Vec::new() };
        for (sequence, positions) in positions.into_iter().enumerate() {
            index.positions.extend(positions);
            index.sequences.resize(index.positions.len(), sequence as u32);
            index.starts.push(index.positions.len());
        }
        Self(Arc::new(index))
    }

    /// Number of sequences.
    pub fn batch(&self) -> usize {
        self.0.starts.len() - 1
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.positions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows of sequence `sequence`.
    ///
    /// # Panics
    /// When there is no such sequence.
    pub fn range(&self, sequence: usize) -> std::ops::Range<usize> {
        self.0.starts[sequence]..self.0.starts[sequence + 1]
    }

    /// The position of each row within its sequence.
    pub fn positions(&self) -> &[u32] {
        &self.0.positions
    }

    /// The sequence of each row.
    pub fn sequences(&self) -> &[u32] {
        &self.0.sequences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_know_their_sequence_and_position() {
        let rows = Rows::of(vec![vec![0, 4], vec![], vec![2]]);
        assert_eq!((rows.batch(), rows.len()), (3, 3));
        assert_eq!((rows.sequences(), rows.positions()), (&[0, 0, 2][..], &[0, 4, 2][..]));
        assert_eq!((rows.range(0), rows.range(1), rows.range(2)), (0..2, 2..2, 2..3));
        assert_eq!(Rows::of_lengths(&[1, 2]), Rows::of(vec![vec![0], vec![0, 1]]));
    }
}
