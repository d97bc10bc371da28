//! One step of Muon for one matrix.

use super::orthogonal::orthogonalise;
use super::parts::unwritten;
use super::vectors::vectorised;

/// The numbers of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MuonStep {
    /// Decay of the mean of gradients; the step looks one step ahead (Nesterov).
    pub momentum: f64,
    /// Decoupled weight decay.
    pub decay: f64,
    /// Decay only what the update makes smaller too (Chen et al. 2025).
    pub is_cautious: bool,
    /// Newton and Schulz's iterations.
    pub iterations: usize,
}

/// A matrix with its gradient and momentum, all `[rows * columns]`.
#[derive(Debug)]
pub struct Parameter<'a> {
    pub shape: [usize; 2],
    pub weight: &'a mut [f32],
    pub gradient: &'a [f32],
    pub momentum: &'a mut [f32],
}

/// What the rate is multiplied by: the root of columns by rows where there are more columns, so
/// that the activations change by as much for every shape.
pub fn shape_factor([rows, columns]: [usize; 2]) -> f64 {
    (columns as f64 / rows as f64).max(1.0).sqrt()
}

/// One step with the gradient multiplied by `scale`.
pub fn update(parameter: Parameter<'_>, scale: f32, rate: f64, step: &MuonStep) {
    let Parameter { shape: [rows, columns], weight, gradient, momentum } = parameter;
    let mut ahead = unwritten(gradient.len());
    follow(gradient, scale, step.momentum as f32, momentum, &mut ahead);

    let direction = orthogonalise(&ahead, rows, columns, step.iterations);
    let along = (rate * shape_factor([rows, columns])) as f32;
    let keep = (1.0 - rate * step.decay) as f32;
    move_along(weight, &direction, along, keep, step.is_cautious);
}

vectorised! {
    /// Moves the momentum on, and puts where it will be next to `ahead`.
    fn follow(gradient: &[f32], scale: f32, decay: f32, momentum: &mut [f32], ahead: &mut [f32]) {
        for ((g, m), ahead) in gradient.iter().zip(momentum).zip(ahead) {
            let g = g * scale;
            *m = decay * *m + (1.0 - decay) * g;
            *ahead = decay * *m + (1.0 - decay) * g;
        }
    }

    fn move_along(weight: &mut [f32], direction: &[f32], along: f32, keep: f32, is_cautious: bool) {
        for (w, d) in weight.iter_mut().zip(direction) {
            let decays = !is_cautious | (*d * *w > 0.0);
            *w = *w * if decays { keep } else { 1.0 } - along * d;
        }
    }
}
