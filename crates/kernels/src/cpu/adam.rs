//! AdamW and LAMB in one pass over memory, and norms.

use rayon::prelude::*;

use super::vectors::{add, sum_of, vectorised};

/// Elements of a task, and of a partial sum.
const PART: usize = 1 << 15;

/// The numbers of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the mean of squares.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub decay: f64,
    /// AdamW decays only what the update makes smaller too (Chen et al. 2025).
    pub is_cautious: bool,
    /// What the mean is multiplied with, `1 / (1 - beta1^step)` or 1.
    pub mean_scale: f64,
    /// What the root of the mean of squares is multiplied with, `1 / sqrt(1 - beta2^step)` or 1.
    pub root_scale: f64,
}

/// The sum of squares, added up in double precision over fixed parts.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let partial: Vec<f64> = x.par_chunks(PART).map(|part| f64::from(squares(part))).collect();
    partial.iter().sum()
}

/// Adds every one of `parts` to `total`, in their order.
pub fn add_all(total: &mut [f32], parts: &[&[f32]]) {
    total.par_chunks_mut(PART).enumerate().for_each(|(i, total)| {
        let range = i * PART..i * PART + total.len();
        parts.iter().for_each(|part| add_part(total, &part[range.clone()]));
    });
}

/// Moves `from` by `share` of the way to `to`.
pub fn interpolate(from: &mut [f32], to: &[f32], share: f32) {
    let parts = from.par_chunks_mut(PART).zip(to.par_chunks(PART));
    parts.for_each(|(from, to)| interpolate_part(from, to, share));
}

/// A parameter with its gradient and moments, all equally long.
#[derive(Debug)]
pub struct Parameter<'a> {
    pub weight: &'a mut [f32],
    pub gradient: &'a [f32],
    pub mean: &'a mut [f32],
    pub square: &'a mut [f32],
}

/// One step of AdamW (Loshchilov and Hutter 2019, algorithm 2) with the gradient multiplied by
/// `scale`.
pub fn adamw(parameter: Parameter<'_>, scale: f32, step: &AdamStep) {
    let Parameter { weight, gradient, mean, square } = parameter;
    let parts = weight.par_chunks_mut(PART).zip(gradient.par_chunks(PART));
    let parts = parts.zip(mean.par_chunks_mut(PART)).zip(square.par_chunks_mut(PART));
    parts.for_each(|(((weight, gradient), mean), square)| {
        adamw_part(Parameter { weight, gradient, mean, square }, scale, step);
    });
}

/// One step of LAMB (You et al. 2020, algorithm 2): the update of the tensor is scaled by |weight|
/// / |update|.
pub fn lamb(parameter: Parameter<'_>, scale: f32, step: &AdamStep) {
    let Parameter { weight, gradient, mean, square } = parameter;
    let mut update = super::parts::unwritten(weight.len());
    let parts =
        update.par_chunks_mut(PART).zip(weight.par_chunks(PART)).zip(gradient.par_chunks(PART));
    parts.zip(mean.par_chunks_mut(PART)).zip(square.par_chunks_mut(PART)).for_each(
        |((((update, weight), gradient), mean), square)| {
            update_part(update, weight, gradient, mean, square, scale, step);
        },
    );
    let (weights, updates) = (sum_of_squares(weight).sqrt(), sum_of_squares(&update).sqrt());
    let trust = if weights > 0.0 && updates > 0.0 { weights / updates } else { 1.0 };
    let rate = (step.rate * trust) as f32;
    let parts = weight.par_chunks_mut(PART).zip(update.par_chunks(PART));
    parts.for_each(|(weight, update)| move_part(weight, update, rate));
}

/// Adam's direction; moves both means on.
#[inline(always)]
fn direction(g: f32, mean: &mut f32, square: &mut f32, step: &AdamStep) -> f32 {
    let (beta1, beta2) = (step.beta1 as f32, step.beta2 as f32);
    *mean = beta1 * *mean + (1.0 - step.beta1) as f32 * g;
    *square = beta2 * *square + (1.0 - step.beta2) as f32 * (g * g);
    *mean * step.mean_scale as f32 / (square.sqrt() * step.root_scale as f32 + step.epsilon as f32)
}

vectorised! {
    fn squares(x: &[f32]) -> f32 {
        sum_of([x], |[x]| x * x)
    }

    fn add_part(total: &mut [f32], part: &[f32]) {
        add(total, part);
    }

    fn interpolate_part(from: &mut [f32], to: &[f32], share: f32) {
        for (from, to) in from.iter_mut().zip(to) {
            *from += share * (to - *from);
        }
    }

    fn adamw_part<'a>(parameter: Parameter<'a>, scale: f32, step: &AdamStep) {
        let (keep, rate) = ((1.0 - step.rate * step.decay) as f32, step.rate as f32);
        let Parameter { weight, gradient, mean, square } = parameter;
        for (((w, g), m), v) in weight.iter_mut().zip(gradient).zip(mean).zip(square) {
            let direction = direction(*g * scale, m, v, step);
            let decays = !step.is_cautious | (direction * *w > 0.0);
            *w = *w * if decays { keep } else { 1.0 } - rate * direction;
        }
    }

    fn update_part(
        update: &mut [f32],
        weight: &[f32],
        gradient: &[f32],
        mean: &mut [f32],
        square: &mut [f32],
        scale: f32,
        step: &AdamStep,
    ) {
        let decay = step.decay as f32;
        for ((((u, w), g), m), v) in update.iter_mut().zip(weight).zip(gradient).zip(mean).zip(square) {
            *u = direction(*g * scale, m, v, step) + decay * w;
        }
    }

    fn move_part(weight: &mut [f32], update: &[f32], rate: f32) {
        for (w, u) in weight.iter_mut().zip(update) {
            *w -= rate * u;
        }
    }
}
