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
}

impl Visibility {
    /// Whether every query sees every key of its sequence.
    pub fn is_everything(&self) -> bool {
        self.window.is_none() && !self.causal.contains(&true)
    }

    /// The keys that the query at position `query` of sequence `sequence` sees, of `keys` keys.
    pub fn of(&self, sequence: usize, query: u32, keys: usize) -> Range<usize> {
        let causal = self.causal.get(sequence).copied().unwrap_or(false);
        let window = self.window.unwrap_or(u32::MAX);
        let last = if causal { query } else { query.saturating_add(window) };
        query.saturating_sub(window) as usize..keys.min(last as usize + 1)
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

        let causal = Visibility { window: None, causal: [false, true].into() };
        assert_eq!((causal.of(0, 5, 9), causal.of(1, 5, 9)), (0..9, 0..6));
        assert!(!causal.is_everything());

        let both = Visibility { window: Some(2), causal: [true].into() };
        assert_eq!(both.of(0, 5, 9), 3..6);
    }
}
