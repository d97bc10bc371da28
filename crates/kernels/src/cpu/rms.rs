//! Root-mean-square normalisation of rows.

use rayon::prelude::*;

use super::parts::{rows_of_a_part, rows_of_a_task, total, unwritten};
use super::vectors::{sum_of, vectorised};

/// The reciprocal root of the mean square of a row.
#[inline(always)]
fn scale_of(row: &[f32], epsilon: f32) -> f32 {
    1.0 / (sum_of([row], |[x]| x * x) / row.len() as f32 + epsilon).sqrt()
}

/// Every row of `x`, divided by its root mean square and multiplied by gamma.
pub fn forward(x: &[f32], gamma: &[f32], epsilon: f32) -> Vec<f32> {
    let task = rows_of_a_task(gamma.len()) * gamma.len();
    let mut out = unwritten(x.len());
    let parts = out.par_chunks_mut(task).zip(x.par_chunks(task));
    parts.for_each(|(out, x)| forward_rows(x, gamma, epsilon, out));
    out
}

/// The gradient of gamma; that of the output, in `gradient`, becomes that of `x`.
pub fn backward(x: &[f32], gamma: &[f32], epsilon: f32, gradient: &mut [f32]) -> Vec<f32> {
    let width = gamma.len();
    let part = rows_of_a_part(x.len() / width) * width;
    let work = |(gradient, x): (&mut [f32], &[f32])| {
        let mut sums = vec![0.0; width];
        backward_rows(x, gamma, epsilon, gradient, &mut sums);
        [sums]
    };
    let partial: Vec<_> = gradient.par_chunks_mut(part).zip(x.par_chunks(part)).map(work).collect();
    let [sums] = total(partial, width);
    sums
}

vectorised! {
    fn forward_rows(x: &[f32], gamma: &[f32], epsilon: f32, out: &mut [f32]) {
        let width = gamma.len();
        for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let scale = scale_of(x, epsilon);
            for ((out, x), gamma) in out.iter_mut().zip(x).zip(gamma) {
                *out = x * scale * gamma;
            }
        }
    }

    fn backward_rows(x: &[f32], gamma: &[f32], epsilon: f32, gradient: &mut [f32], sums: &mut [f32]) {
        let width = gamma.len();
        for (g, x) in gradient.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let scale = scale_of(x, epsilon);
            let product = sum_of([&*g, gamma, x], |[g, gamma, x]| g * gamma * x);
            let along = product * scale * scale / width as f32;
            for (((g, x), gamma), sum) in g.iter_mut().zip(x).zip(gamma).zip(&mut *sums) {
                *sum += *g * x * scale;
                *g = scale * (*g * gamma - along * x);
            }
        }
    }
}
