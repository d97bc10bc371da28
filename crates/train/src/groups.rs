//! Steps of sequences of like length.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use corpus::{below, keyed_rng};

/// Deals out the rows of each group of steps anew: sorted by length, cut into steps, and the steps
/// shuffled. The rows of a step are a function of their lengths, the seed and the number of the
/// step.
#[derive(Debug)]
pub struct Groups {
    steps: u64,
    /// The rows of the group that was dealt out last, by its number.
    last: Mutex<Option<(u64, Vec<u64>)>>,
}

impl Groups {
    /// Groups of `steps` steps; 0 or 1: rows stay in their order.
    pub fn new(steps: u64) -> Self {
        Self { steps, last: Mutex::new(None) }
    }

    /// The first row, from `row` on, at which a step of `size` rows can begin: with groups the
    /// first row of a group.
    pub fn begin(&self, row: u64, size: u64) -> u64 {
        if self.steps < 2 { row } else { row.next_multiple_of(self.steps * size) }
    }

    /// The `size` rows of the step that starts at row `first`.
    pub fn rows(
        &self,
        first: u64,
        size: u64,
        seed: u64,
        length: impl Fn(u64) -> usize,
    ) -> Vec<u64> {
        if self.steps < 2 {
            return (first..first + size).collect();
        }

        let step = first / size;
        let group = step / self.steps;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let dealt = match last.take() {
            Some((number, rows)) if number == group => rows,
            _ => {
                deal(group * self.steps * size..(group + 1) * self.steps * size, size, seed, length)
            }
        };

        let first = ((step % self.steps) * size) as usize;
        let rows = dealt[first..first + size as usize].to_vec();

        *last = Some((group, dealt));
        rows
    }
}

fn deal(rows: Range<u64>, size: u64, seed: u64, length: impl Fn(u64) -> usize) -> Vec<u64> {
    let mut rng = keyed_rng("group", seed, rows.start, rows.end);
    let mut sorted: Vec<u64> = rows.collect();
    sorted.sort_by_cached_key(|row| (length(*row), *row));

    let mut steps: Vec<&[u64]> = sorted.chunks(size as usize).collect();
    for last in (1..steps.len()).rev() {
        steps.swap(last, below(last + 1, &mut rng));
    }
    steps.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(row: u64) -> usize {
        (row * 7 % 23) as usize
    }

    #[test]
    fn a_group_has_its_rows_once_each_and_its_steps_have_like_lengths() {
        let groups = Groups::new(5);
        let steps: Vec<Vec<u64>> =
            (5..10).map(|step| groups.rows(4 * step, 4, 1, length)).collect();

        let mut all = steps.concat();
        all.sort_unstable();
        assert_eq!(all, (20..40).collect::<Vec<u64>>());

        let mut ranges: Vec<(usize, usize)> = steps
            .iter()
            .map(|rows| rows.iter().map(|row| length(*row)))
            .map(|lengths| (lengths.clone().min().unwrap_or(0), lengths.max().unwrap_or(0)))
            .collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:?}");

        assert_ne!(steps, {
            let mut sorted = steps.clone();
            sorted.sort_by_key(|rows| length(rows[0]));
            sorted
        });
    }

    #[test]
    fn a_step_is_the_same_whatever_was_asked_before() {
        let asked = Groups::new(3);
        let in_order: Vec<Vec<u64>> =
            (0..9).map(|step| asked.rows(4 * step, 4, 2, length)).collect();
        for step in [8, 0, 4] {
            assert_eq!(Groups::new(3).rows(4 * step, 4, 2, length), in_order[step as usize]);
            assert_eq!(asked.rows(4 * step, 4, 2, length), in_order[step as usize]);
        }
    }

    #[test]
    fn without_groups_rows_stay_in_their_order() {
        assert_eq!(Groups::new(0).rows(7, 3, 1, length), [7, 8, 9]);
    }

    #[test]
    fn steps_of_another_size_begin_with_a_group() {
        assert_eq!([0, 1, 24, 25].map(|row| Groups::new(3).begin(row, 8)), [0, 24, 24, 48]);
        assert_eq!(Groups::new(0).begin(25, 8), 25);
    }
}
