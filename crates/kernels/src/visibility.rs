//! Which keys a query sees among those of its sequence.

use std::ops::Range;
use std::sync::Arc;

/// Which keys a query sees among those of its sequence: by default all. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visibility {
    /// The largest distance between a query and a key; none: any (sliding-window attention,
    /// Beltagy et al. 2020).
    pub window: Option<u32>,
    /// Whether the queries of a sequence see no keys after them, for each sequence; empty: none
    /// does.
    pub causal: Arc<[bool]>,
    /// The first positions of all documents of a sequence but its first, ascending, for each
    /// sequence: queries see no other document than theirs (block-diagonal attention). Empty: a
    /// sequence is one document.
    pub documents: Arc<[Vec<u32>]>,
}

impl Visibility {
    /// Whether every query sees every key of its sequence.
    pub fn is_everything(&self) -> bool {
        self.window.is_none()
            && !self.causal.contains(&true)
            && self.documents.iter().all(Vec::is_empty)
    }

    /// The keys of the document of the query at position `query` of sequence `sequence`.
    fn document(&self, sequence: usize, query: u32, keys: usize) -> Range<usize> {
        let Some(starts) = self.documents.get(sequence) else { return 0..keys };
        let next = starts.partition_point(|start| *start <= query);
        let end = starts.get(next).map_or(keys, |start| keys.min(*start as usize));
        document_start(starts, query) as usize..end
    }

    /// The keys that the query at position `query` of sequence `sequence` sees, of `keys` keys.
    pub fn of(&self, sequence: usize, query: u32, keys: usize) -> Range<usize> {
        let causal = self.causal.get(sequence).copied().unwrap_or(false);
        let window = self.window.unwrap_or(u32::MAX);
        let last = if causal { query } else { query.saturating_add(window) };
        let document = self.document(sequence, query, keys);
        document.start.max(query.saturating_sub(window) as usize)
            ..document.end.min(last as usize + 1)
    }
}

/// The first position of the document of the token at `position`, given the first positions of all
/// documents of its sequence but the first.
pub fn document_start(starts: &[u32], position: u32) -> u32 {
    match starts.partition_point(|start| *start <= position) {
        0 => 0,
        later => starts[later - 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_sees_its_sequence_its_window_and_its_past() {
        let everything = Visibility::default();
        assert!(everything.is_everything());
        assert_eq!(everything.of(3, 5, 9), 0..9);

        let window = Visibility { window: Some(2), ..Visibility::default() };
        assert_eq!([0, 5, 8].map(|query| window.of(0, query, 9)), [0..3, 3..8, 6..9]);

        let causal = Visibility { causal: [false, true].into(), ..Visibility::default() };
        assert_eq!((causal.of(0, 5, 9), causal.of(1, 5, 9)), (0..9, 0..6));
        assert!(!causal.is_everything());

        let both = Visibility { causal: [true].into(), ..window };
        assert_eq!(both.of(0, 5, 9), 3..6);
    }

    #[test]
    fn a_query_sees_its_document_and_of_that_its_window_and_its_past() {
        let documents: Arc<[Vec<u32>]> = [vec![3, 7], Vec::new()].into();
        let apart = Visibility { documents, ..Visibility::default() };
        assert!(!apart.is_everything());
        let seen = [0, 2, 3, 6, 7, 8].map(|query| apart.of(0, query, 9));
        assert_eq!(seen, [0..3, 0..3, 3..7, 3..7, 7..9, 7..9]);
        assert_eq!(apart.of(1, 4, 9), 0..9);

        let near = Visibility { window: Some(1), causal: [true].into(), ..apart };
        assert_eq!([3, 5].map(|query| near.of(0, query, 9)), [3..4, 4..6]);
    }
}
