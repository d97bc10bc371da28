//! Softmax of rows.

use rayon::prelude::*;

use super::parts::rows_of_a_task;
use super::vectors::{exp, largest, sum_of, vectorised};

/// Turns a row of scores into `exp(factor * (score - max))` and returns the sum of these and the
/// maximum.
#[inline(always)]
pub fn exponentials(row: &mut [f32], factor: f32) -> (f32, f32) {
    let most = largest(row);
    for x in row.iter_mut() {
        *x = exp((*x - most) * factor);
    }
    (sum_of([&*row], |[x]| x), most)
}

/// Every row of `x` becomes its softmax.
pub fn forward(x: &mut [f32], width: usize) {
    x.par_chunks_mut(rows_of_a_task(width) * width).for_each(|part| rows_forward(part, width));
}

/// The gradient of the softmax `y`, in `gradient`, becomes that of its scores.
pub fn backward(y: &[f32], gradient: &mut [f32], width: usize) {
    let task = rows_of_a_task(width) * width;
    let parts = gradient.par_chunks_mut(task).zip(y.par_chunks(task));
    parts.for_each(|(gradient, y)| rows_backward(y, gradient, width));
}

vectorised! {
    fn rows_forward(x: &mut [f32], width: usize) {
        for row in x.chunks_exact_mut(width) {
            let (sum, _) = exponentials(row, 1.0);
            let scale = 1.0 / sum;
            row.iter_mut().for_each(|x| *x *= scale);
        }
    }

    fn rows_backward(y: &[f32], gradient: &mut [f32], width: usize) {
        for (gradient, y) in gradient.chunks_exact_mut(width).zip(y.chunks_exact(width)) {
            let mean = sum_of([&*gradient, y], |[g, y]| g * y);
            for (gradient, y) in gradient.iter_mut().zip(y) {
                *gradient = y * (*gradient - mean);
            }
        }
    }
}
