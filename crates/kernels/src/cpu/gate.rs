//! Products of a non-linearity and a gate, which stand side by side in rows.

use rayon::prelude::*;

use super::activation::{Activation, Curve, with_curve};
use super::parts::{rows_of_a_task, unwritten};
use super::vectors::vectorised;

/// `f(x) * y` of rows `x, y` of `2 * width` elements, `[rows, width]`.
pub fn forward(activation: Activation, packed: &[f32], width: usize) -> Vec<f32> {
    let task = rows_of_a_task(2 * width);
    let mut out = unwritten(packed.len() / 2);
    let parts = out.par_chunks_mut(task * width).zip(packed.par_chunks(task * 2 * width));
    parts.for_each(|(out, packed)| forward_rows(activation, packed, width, out));
    out
}

/// The gradient of the packed rows, given that of [`forward`]'s.
pub fn backward(
    activation: Activation,
    packed: &[f32],
    width: usize,
    gradient: &[f32],
) -> Vec<f32> {
    let task = rows_of_a_task(2 * width);
    let mut out = unwritten(packed.len());
    let parts = out.par_chunks_mut(task * 2 * width).zip(packed.par_chunks(task * 2 * width));
    let parts = parts.zip(gradient.par_chunks(task * width));
    parts.for_each(|((out, packed), gradient)| {
        backward_rows(activation, packed, width, gradient, out);
    });
    out
}

vectorised! {
    fn forward_rows(activation: Activation, packed: &[f32], width: usize, out: &mut [f32]) {
        with_curve!(activation, curve_forward(packed, width, out))
    }

    fn backward_rows(activation: Activation, packed: &[f32], width: usize, gradient: &[f32], out: &mut [f32]) {
        with_curve!(activation, curve_backward(packed, width, gradient, out))
    }
}

#[inline(always)]
fn curve_forward<F: Curve>(packed: &[f32], width: usize, out: &mut [f32]) {
    for (out, packed) in out.chunks_exact_mut(width).zip(packed.chunks_exact(2 * width)) {
        let (x, y) = packed.split_at(width);
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = F::value(*x) * y;
        }
    }
}

#[inline(always)]
fn curve_backward<F: Curve>(packed: &[f32], width: usize, gradient: &[f32], out: &mut [f32]) {
    let rows = out.chunks_exact_mut(2 * width).zip(packed.chunks_exact(2 * width));
    for ((out, packed), gradient) in rows.zip(gradient.chunks_exact(width)) {
        let ((x, y), (dx, dy)) = (packed.split_at(width), out.split_at_mut(width));
        for ((((dx, dy), x), y), g) in dx.iter_mut().zip(dy).zip(x).zip(y).zip(gradient) {
            *dx = g * y * F::slope(*x);
            *dy = g * F::value(*x);
        }
    }
}
