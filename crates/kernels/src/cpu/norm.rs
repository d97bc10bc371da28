//! Layer normalisation of rows.

use rayon::prelude::*;

use super::parts::{rows_of_a_part, rows_of_a_task, total, unwritten};
use super::vectors::{sum_of, vectorised};

/// Mean and reciprocal standard deviation of a row.
#[inline(always)]
fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let n = row.len() as f32;
    let mean = sum_of([row], |[x]| x) / n;
    let variance = sum_of([row], |[x]| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// `out = (x - mean) / sqrt(variance + epsilon) * gamma + beta` for one row.
#[inline(always)]
fn normalise(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, out: &mut [f32]) {
    let (mean, scale) = moments(x, epsilon);
    for (((out, x), gamma), beta) in out.iter_mut().zip(x).zip(gamma).zip(beta) {
        *out = (x - mean) * scale * gamma + beta;
    }
}

/// Every row of `x`, normalised.
pub fn forward(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32) -> Vec<f32> {
    let width = gamma.len();
    let task = rows_of_a_task(width) * width;
    let mut out = unwritten(x.len());
    let parts = out.par_chunks_mut(task).zip(x.par_chunks(task));
    parts.for_each(|(out, x)| normalise_rows(x, gamma, beta, epsilon, out));
    out
}

/// The gradients of gamma and beta; that of the output, in `gradient`, becomes that of `x`.
pub fn backward(x: &[f32], gamma: &[f32], epsilon: f32, gradient: &mut [f32]) -> [Vec<f32>; 2] {
    let width = gamma.len();
    let part = rows_of_a_part(x.len() / width) * width;
    let work = |(gradient, x): (&mut [f32], &[f32])| {
        let mut sums = [vec![0.0; width], vec![0.0; width]];
        rows_backward(x, gamma, epsilon, gradient, &mut sums);
        sums
    };
    let partial: Vec<_> = gradient.par_chunks_mut(part).zip(x.par_chunks(part)).map(work).collect();
    total(partial, width)
}

/// One row of [`backward`], which adds to the gradients of gamma and beta.
#[inline(always)]
fn row_backward(
    x: &[f32],
    gamma: &[f32],
    epsilon: f32,
    g: &mut [f32],
    gammas: &mut [f32],
    betas: &mut [f32],
) {
    let n = x.len() as f32;
    let (mean, scale) = moments(x, epsilon);
    let first = sum_of([&*g, gamma], |[g, gamma]| g * gamma) / n;
    let second = sum_of([&*g, gamma, x], |[g, gamma, x]| g * gamma * (x - mean)) * scale / n;
    for ((((g, x), gamma), dg), db) in g.iter_mut().zip(x).zip(gamma).zip(gammas).zip(betas) {
        let normed = (x - mean) * scale;
        *dg += *g * normed;
        *db += *g;
        *g = scale * (*g * gamma - first - normed * second);
    }
}

vectorised! {
    /// Every row of `x`, normalised, by one thread.
    pub fn normalise_rows(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, out: &mut [f32]) {
        let width = gamma.len();
        for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            normalise(x, gamma, beta, epsilon, out);
        }
    }

    /// [`backward`] by one thread, which adds to the sums for gamma and beta.
    pub fn rows_backward(x: &[f32], gamma: &[f32], epsilon: f32, gradient: &mut [f32], sums: &mut [Vec<f32>]) {
        let [gammas, betas] = sums else { unreachable!("gamma and beta") };
        let width = gamma.len();
        for (g, x) in gradient.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            row_backward(x, gamma, epsilon, g, gammas, betas);
        }
    }
}
