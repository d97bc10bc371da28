//! Dropout masks by counting, never stored, and the residual sums they belong to.

use rayon::prelude::*;

use super::norm::{normalise, row_backward};
use super::parts::{rows_of_a_part, rows_of_a_task, total, unwritten};
use super::vectors::{add, vectorised};
use crate::noise::draw;

/// Which elements of a batch are dropped.
#[derive(Clone, Debug)]
pub struct Mask {
    /// A key for each sequence.
    pub keys: Vec<u64>,
    /// An element is kept when its draw is at least this.
    threshold: u32,
    /// What a kept element is multiplied with.
    scale: f32,
}

impl Mask {
    /// A mask that drops with probability `rate`.
    pub fn new(keys: Vec<u64>, rate: f64) -> Self {
        Self { keys, threshold: (rate * f64::from(u32::MAX)) as u32, scale: (1.0 / (1.0 - rate)) as f32 }
    }

    /// The factor, 0 or `1 / (1 - rate)`, of element `index` of the sequence with `key`.
    #[inline(always)]
    pub fn factor(&self, key: u64, index: u32) -> f32 {
        if draw(key, index) >= self.threshold { self.scale } else { 0.0 }
    }

    /// Multiplies the elements `start`, `start + 1`, ... of the sequence with `key` by their factors.
    #[inline(always)]
    pub fn apply(&self, key: u64, start: u32, values: &mut [f32]) {
        for (value, i) in values.iter_mut().zip(0u32..) {
            *value *= self.factor(key, start.wrapping_add(i));
        }
    }

    /// Key and first element of row `row` of a batch of `rows` rows of `width`.
    fn at(&self, row: usize, rows: usize, width: usize) -> (u64, u32) {
        let len = rows / self.keys.len();
        (self.keys[row / len], (row % len * width) as u32)
    }
}

/// Drops elements of the rows of `x` in place; the same function takes the gradient back.
pub fn drop_rows(x: &mut [f32], width: usize, mask: &Mask) {
    let (rows, task) = (x.len() / width, rows_of_a_task(width));
    x.par_chunks_mut(task * width).enumerate().for_each(|(i, part)| {
        vectorised(|| {
            for (j, row) in part.chunks_exact_mut(width).enumerate() {
                let (key, start) = mask.at(i * task + j, rows, width);
                mask.apply(key, start, row);
            }
        });
    });
}

/// The norm after a residual sum.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    pub epsilon: f32,
}

/// `x = residual + dropout(x + bias)` in place; with a norm, returns the normalised sum.
pub fn add_residual(
    x: &mut [f32],
    residual: &[f32],
    bias: &[f32],
    mask: Option<&Mask>,
    norm: Option<Norm<'_>>,
) -> Vec<f32> {
    let width = bias.len();
    let (rows, task) = (x.len() / width, rows_of_a_task(width));
    let sum = |first: usize, x: &mut [f32], residual: &[f32], out: &mut [f32]| {
        vectorised(|| {
            for (j, (x, residual)) in x.chunks_exact_mut(width).zip(residual.chunks_exact(width)).enumerate() {
                add(x, bias);
                if let Some(mask) = mask {
                    let (key, start) = mask.at(first + j, rows, width);
                    mask.apply(key, start, x);
                }
                add(x, residual);
                if let Some(Norm { gamma, beta, epsilon }) = norm {
                    normalise(x, gamma, beta, epsilon, &mut out[j * width..(j + 1) * width]);
                }
            }
        });
    };
    let task_elements = task * width;
    let parts = x.par_chunks_mut(task_elements).zip(residual.par_chunks(task_elements)).enumerate();
    match norm {
        Some(_) => {
            let mut out = unwritten(residual.len());
            parts
                .zip(out.par_chunks_mut(task_elements))
                .for_each(|((i, (x, residual)), out)| sum(i * task, x, residual, out));
            out
        }
        None => {
            parts.for_each(|(i, (x, residual))| sum(i * task, x, residual, &mut []));
            Vec::new()
        }
    }
}

/// What [`residual_backward`] finds.
#[derive(Debug)]
pub struct ResidualGradients {
    /// Of `x`; empty when it is the same as that of the residual.
    pub x: Vec<f32>,
    /// Of the bias.
    pub bias: Vec<f32>,
    /// Of gamma and beta, when there is a norm.
    pub norm: Option<[Vec<f32>; 2]>,
}

/// The gradient of the output, in `gradient`, becomes that of the residual. `sum` is the sum before the norm.
pub fn residual_backward(
    gradient: &mut [f32],
    width: usize,
    mask: Option<&Mask>,
    norm: Option<(&[f32], Norm<'_>)>,
) -> ResidualGradients {
    let rows = gradient.len() / width;
    let part = rows_of_a_part(rows);
    let mut x = unwritten(if mask.is_some() { gradient.len() } else { 0 });
    // Without a mask there is nothing to write, but the parts must still be counted.
    let mut nothing = vec![[0.0f32; 0]; rows.div_ceil(part)];
    let targets: Vec<&mut [f32]> = match mask {
        Some(_) => x.chunks_mut(part * width).collect(),
        None => nothing.iter_mut().map(|empty| &mut empty[..]).collect(),
    };
    let work = |(i, (gradient, x)): (usize, (&mut [f32], &mut [f32]))| {
        let mut sums = [vec![0.0; width], vec![0.0; width], vec![0.0; width]];
        vectorised(|| {
            let [biases, gammas, betas] = &mut sums;
            for (j, g) in gradient.chunks_exact_mut(width).enumerate() {
                let row = i * part + j;
                if let Some((sum, Norm { gamma, epsilon, .. })) = norm {
                    row_backward(&sum[row * width..(row + 1) * width], gamma, epsilon, g, gammas, betas);
                }
                match mask {
                    Some(mask) => {
                        let x = &mut x[j * width..(j + 1) * width];
                        let (key, start) = mask.at(row, rows, width);
                        for (((x, g), sum), index) in x.iter_mut().zip(&*g).zip(biases.iter_mut()).zip(0u32..) {
                            *x = g * mask.factor(key, start.wrapping_add(index));
                            *sum += *x;
                        }
                    }
                    None => add(biases, g),
                }
            }
        });
        sums
    };
    let partial: Vec<_> =
        gradient.par_chunks_mut(part * width).zip(targets).enumerate().map(work).collect();
    let [bias, gamma, beta] = total(partial);
    ResidualGradients { x, bias, norm: norm.map(|_| [gamma, beta]) }
}
