//! Dropout masks by counting, never stored, and the residual sums they belong to.

use rayon::prelude::*;

use super::norm::{normalise_rows, rows_backward as norm_backward};
use super::parts::{add_rows, rows_of_a_part, rows_of_a_task, total, unwritten};
use super::vectors::vectorised;
use crate::noise::{Noise, draw};
use crate::rows::Rows;

/// Which elements of some rows are dropped.
#[derive(Clone, Debug)]
pub struct Mask {
    /// A key for each sequence.
    pub keys: Vec<u64>,
    /// The rows.
    pub rows: Rows,
    /// An element is kept when its draw is at least this.
    threshold: u32,
    /// What a kept element is multiplied with.
    scale: f32,
}

impl Mask {
    /// The mask of the next block of a pass that drops elements of `rows` with probability `rate`;
    /// none without `noise` (evaluation) and with a rate of 0.
    ///
    /// # Panics
    /// When `rate` is not in `[0, 1)`, or `noise` has not a key for each sequence.
    pub fn draw(noise: Option<&mut Noise>, rate: f64, rows: &Rows) -> Option<Self> {
        assert!((0.0..1.0).contains(&rate), "a dropout rate is in [0, 1), not {rate}");
        let noise = noise?;
        assert_eq!(noise.sequences(), rows.batch(), "a key a sequence");
        (rate > 0.0).then(|| Self {
            keys: noise.next_site(),
            rows: rows.clone(),
            threshold: (rate * f64::from(u32::MAX)) as u32,
            scale: (1.0 / (1.0 - rate)) as f32,
        })
    }

    /// The factor, 0 or `1 / (1 - rate)`, of element `index` of the sequence with `key`.
    #[inline(always)]
    pub fn factor(&self, key: u64, index: u32) -> f32 {
        if draw(key, index) >= self.threshold { self.scale } else { 0.0 }
    }

    /// Multiplies the elements `start`, `start + 1`, ... of the sequence with `key` by their
    /// factors.
    #[inline(always)]
    pub fn apply(&self, key: u64, start: u32, values: &mut [f32]) {
        for (value, i) in values.iter_mut().zip(0u32..) {
            *value *= self.factor(key, start.wrapping_add(i));
        }
    }

    /// Key and first element of row `row`. Elements are counted by position, then channel, so their
    /// numbers depend neither on padding nor on which rows there are.
    #[inline(always)]
    fn at(&self, row: usize, width: usize) -> (u64, u32) {
        let key = self.keys[self.rows.sequences()[row] as usize];
        (key, self.rows.positions()[row].wrapping_mul(width as u32))
    }
}

/// Drops elements of the rows of `x` in place; the same function takes the gradient back.
pub fn drop_rows(x: &mut [f32], width: usize, mask: &Mask) {
    let task = rows_of_a_task(width);
    let parts = x.par_chunks_mut(task * width).enumerate();
    parts.for_each(|(i, part)| drop_part(part, RowBlock { first: i * task, width }, mask));
}

/// Where a part lies among all rows.
#[derive(Clone, Copy)]
struct RowBlock {
    /// Its first row.
    first: usize,
    /// Length of a row.
    width: usize,
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
    let task = rows_of_a_task(width);
    let block = |i: usize| RowBlock { first: i * task, width };
    let parts = x.par_chunks_mut(task * width).zip(residual.par_chunks(task * width)).enumerate();
    let Some(norm) = norm else {
        parts.for_each(|(i, (x, residual))| sum_part(x, residual, bias, block(i), mask));
        return Vec::new();
    };
    let mut out = unwritten(residual.len());
    parts.zip(out.par_chunks_mut(task * width)).for_each(|((i, (x, residual)), out)| {
        sum_part(x, residual, bias, block(i), mask);
        normalise_rows(x, norm.gamma, norm.beta, norm.epsilon, out);
    });
    out
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

/// The gradient of the output, in `gradient`, becomes that of the residual. `sum` is the sum before
/// the norm.
pub fn residual_backward(
    gradient: &mut [f32],
    width: usize,
    mask: Option<&Mask>,
    norm: Option<(&[f32], Norm<'_>)>,
) -> ResidualGradients {
    let rows = gradient.len() / width;
    let part = rows_of_a_part(rows);
    let work = |i: usize, gradient: &mut [f32], x: &mut [f32]| {
        let block = RowBlock { first: i * part, width };
        let mut sums = [vec![0.0; width], vec![0.0; width], vec![0.0; width]];
        let [biases, norms @ ..] = &mut sums;
        if let Some((sum, norm)) = norm {
            let sum = &sum[block.first * width..][..gradient.len()];
            norm_backward(sum, norm.gamma, norm.epsilon, gradient, norms);
        }
        match mask {
            Some(mask) => drop_backward(gradient, x, block, mask, biases),
            None => add_rows(gradient, width, biases),
        }
        sums
    };
    let gradients = gradient.par_chunks_mut(part * width);

    let (x, partial): (_, Vec<_>) = match mask {
        Some(_) => {
            let mut x = unwritten(rows * width);
            let parts = gradients.zip(x.par_chunks_mut(part * width)).enumerate();
            let partial = parts.map(|(i, (gradient, x))| work(i, gradient, x)).collect();
            (x, partial)
        }
        None => (
            Vec::new(),
            gradients.enumerate().map(|(i, gradient)| work(i, gradient, &mut [])).collect(),
        ),
    };

    let [bias, gamma, beta] = total(partial, width);
    ResidualGradients { x, bias, norm: norm.map(|_| [gamma, beta]) }
}

vectorised! {
    fn drop_part(x: &mut [f32], block: RowBlock, mask: &Mask) {
        for (row, x) in (block.first..).zip(x.chunks_exact_mut(block.width)) {
            let (key, start) = mask.at(row, block.width);
            mask.apply(key, start, x);
        }
    }

    fn sum_part(x: &mut [f32], residual: &[f32], bias: &[f32], block: RowBlock, mask: Option<&Mask>) {
        let rows = x.chunks_exact_mut(block.width).zip(residual.chunks_exact(block.width));
        for (row, (x, residual)) in (block.first..).zip(rows) {
            match mask {
                Some(mask) => {
                    let (key, start) = mask.at(row, block.width);
                    for (((x, residual), bias), i) in x.iter_mut().zip(residual).zip(bias).zip(0u32..) {
                        *x = (*x + bias) * mask.factor(key, start.wrapping_add(i)) + residual;
                    }
                }
                None => {
                    for ((x, residual), bias) in x.iter_mut().zip(residual).zip(bias) {
                        *x = *x + bias + residual;
                    }
                }
            }
        }
    }

    fn drop_backward(gradient: &[f32], x: &mut [f32], block: RowBlock, mask: &Mask, biases: &mut [f32]) {
        let rows = x.chunks_exact_mut(block.width).zip(gradient.chunks_exact(block.width));
        for (row, (x, gradient)) in (block.first..).zip(rows) {
            let (key, start) = mask.at(row, block.width);
            for (((x, g), sum), i) in x.iter_mut().zip(gradient).zip(&mut *biases).zip(0u32..) {
                *x = g * mask.factor(key, start.wrapping_add(i));
                *sum += *x;
            }
        }
    }
}
