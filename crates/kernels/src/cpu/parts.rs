//! How work is cut: always into the same parts, whatever the number of threads.

use rayon::prelude::*;

use super::vectors::{add, vectorised};

/// Elements that are worth a task of their own.
const GRAIN: usize = 1 << 14;
/// Partial sums over rows.
const PARTS: usize = 8;

/// Numbers of which any bits are valid.
pub trait Number {}
impl Number for f32 {}
impl Number for u32 {}

/// A buffer of `n` elements whose contents are yet to be written.
///
/// Zeroing every output first would cost about a tenth of a training step.
#[allow(
    unsafe_code,
    clippy::uninit_vec,
    reason = "every kernel writes all elements before any is read"
)]
pub fn unwritten<T: Number>(n: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(n);
    // SAFETY: the capacity is n, any bits are a valid number, and the callers in this crate write
    // before they read.
    unsafe { values.set_len(n) };
    values
}

/// Rows of `width` that make up one task.
pub fn rows_of_a_task(width: usize) -> usize {
    (GRAIN / width.max(1)).max(1)
}

/// Rows of each of the parts that `rows` rows are cut into for partial sums.
pub fn rows_of_a_part(rows: usize) -> usize {
    rows.div_ceil(PARTS).max(1)
}

/// Adds up partial sums of `width` elements in their order; 0 where there is none.
pub fn total<const N: usize>(partial: Vec<[Vec<f32>; N]>, width: usize) -> [Vec<f32>; N] {
    let add_all = |mut sums: [Vec<f32>; N], part: [Vec<f32>; N]| {
        sums.iter_mut().zip(&part).for_each(|(sum, part)| add(sum, part));
        sums
    };
    partial.into_iter().reduce(add_all).unwrap_or_else(|| std::array::from_fn(|_| vec![0.0; width]))
}

/// The sum of the rows of `x`, `[width]`.
pub fn column_sums(x: &[f32], width: usize) -> Vec<f32> {
    let rows = rows_of_a_part(x.len() / width);
    let part = |part: &[f32]| {
        let mut sums = vec![0.0; width];
        add_rows(part, width, &mut sums);
        [sums]
    };
    let partial: Vec<_> = x.par_chunks(rows * width).map(part).collect();
    let [sums] = total(partial, width);
    sums
}

/// Applies `f` to tasks of `elements` elements of `out`, with the number of each.
pub fn for_tasks(out: &mut [f32], elements: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    out.par_chunks_mut(elements).enumerate().for_each(|(i, part)| f(i, part));
}

/// Multiplies every element with `factor`.
pub fn scale(x: &mut [f32], factor: f32) {
    for_tasks(x, GRAIN, |_, part| multiply(part, factor));
}

vectorised! {
    /// Adds rows to `sums`, by one thread.
    pub fn add_rows(rows: &[f32], width: usize, sums: &mut [f32]) {
        for row in rows.chunks_exact(width) {
            add(sums, row);
        }
    }

    fn multiply(x: &mut [f32], factor: f32) {
        x.iter_mut().for_each(|x| *x *= factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_summed_over_all_rows() {
        for rows in [0, 1, 7, 8, 9, 100] {
            let x: Vec<f32> = (0..rows * 3).map(|i| i as f32).collect();
            let want: Vec<f32> =
                (0..3).map(|c| (0..rows).map(|r| (r * 3 + c) as f32).sum()).collect();
            assert_eq!(column_sums(&x, 3), want);
        }
    }
}
