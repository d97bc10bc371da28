//! Non-linearities, with the bias that comes before them.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::parts::{rows_of_a_part, rows_of_a_task, total, unwritten};
use super::vectors::{erf, exp, tanh, vectorised};

/// A non-linearity of a feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x * Phi(x)` with the error function, as in ELECTRA, RoBERTa and Hugging Face's `gelu`.
    Gelu,
    /// The tanh approximation of the same curve, as in the authors' BERT and ALBERT (`gelu_new`).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)^2` (So et al. 2021).
    ReluSquared,
    /// `x / (1 + e^-x)`: the curve of SwiGLU.
    Silu,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Gelu, Self::GeluTanh, Self::Relu, Self::ReluSquared, Self::Silu];
}

const ROOT_HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// 1 / sqrt(2 pi)
const DENSITY: f32 = 0.398_942_3;
/// sqrt(2 / pi)
const TANH_SCALE: f32 = 0.797_884_6;
const TANH_CUBE: f32 = 0.044_715;

/// A function of one number and its derivative.
pub(super) trait Curve {
    fn value(x: f32) -> f32;
    fn slope(x: f32) -> f32;
}

pub(super) struct Gelu;
pub(super) struct GeluTanh;
pub(super) struct Relu;
pub(super) struct ReluSquared;
pub(super) struct Silu;

impl Curve for Gelu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        0.5 * x * (1.0 + erf(x * ROOT_HALF).0)
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let (erf, density) = erf(x * ROOT_HALF);
        0.5 * (1.0 + erf) + x * DENSITY * density
    }
}

impl Curve for GeluTanh {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        0.5 * x * (1.0 + tanh(TANH_SCALE * (x + TANH_CUBE * x * x * x)))
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let t = tanh(TANH_SCALE * (x + TANH_CUBE * x * x * x));
        0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * TANH_SCALE * (1.0 + 3.0 * TANH_CUBE * x * x)
    }
}

impl Curve for Relu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        if x > 0.0 { x } else { 0.0 }
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        if x > 0.0 { 1.0 } else { 0.0 }
    }
}

impl Curve for ReluSquared {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        Relu::value(x) * Relu::value(x)
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        2.0 * Relu::value(x)
    }
}

impl Curve for Silu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x / (1.0 + exp(-x))
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let sigmoid = 1.0 / (1.0 + exp(-x));
        sigmoid * (1.0 + x * (1.0 - sigmoid))
    }
}

/// Calls `$function` with the type of the curve that `$activation` names.
macro_rules! with_curve {
    ($activation:expr, $function:ident($($argument:expr),*)) => {{
        use $crate::cpu::activation as curves;
        match $activation {
            curves::Activation::Gelu => $function::<curves::Gelu>($($argument),*),
            curves::Activation::GeluTanh => $function::<curves::GeluTanh>($($argument),*),
            curves::Activation::Relu => $function::<curves::Relu>($($argument),*),
            curves::Activation::ReluSquared => $function::<curves::ReluSquared>($($argument),*),
            curves::Activation::Silu => $function::<curves::Silu>($($argument),*),
        }
    }};
}
pub(super) use with_curve;

/// `f(x + bias)` for rows as wide as `bias`.
pub fn forward(activation: Activation, x: &[f32], bias: &[f32]) -> Vec<f32> {
    let task = rows_of_a_task(bias.len()) * bias.len();
    let mut out = unwritten(x.len());
    let parts = out.par_chunks_mut(task).zip(x.par_chunks(task));
    parts.for_each(|(out, x)| forward_rows(activation, x, bias, out));
    out
}

/// The gradient of the bias; that of the output, in `gradient`, becomes that of `x`.
pub fn backward(activation: Activation, x: &[f32], bias: &[f32], gradient: &mut [f32]) -> Vec<f32> {
    let width = bias.len();
    let part = rows_of_a_part(x.len() / width) * width;
    let work = |(gradient, x): (&mut [f32], &[f32])| {
        let mut sums = vec![0.0; width];
        backward_rows(activation, x, bias, gradient, &mut sums);
        [sums]
    };
    let partial: Vec<_> = gradient.par_chunks_mut(part).zip(x.par_chunks(part)).map(work).collect();
    let [sums] = total(partial, width);
    sums
}

vectorised! {
    fn forward_rows(activation: Activation, x: &[f32], bias: &[f32], out: &mut [f32]) {
        with_curve!(activation, curve_forward(x, bias, out))
    }

    fn backward_rows(activation: Activation, x: &[f32], bias: &[f32], gradient: &mut [f32], sums: &mut [f32]) {
        with_curve!(activation, curve_backward(x, bias, gradient, sums))
    }
}

#[inline(always)]
fn curve_forward<F: Curve>(x: &[f32], bias: &[f32], out: &mut [f32]) {
    let width = bias.len();
    for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        for ((out, x), bias) in out.iter_mut().zip(x).zip(bias) {
            *out = F::value(x + bias);
        }
    }
}

#[inline(always)]
fn curve_backward<F: Curve>(x: &[f32], bias: &[f32], gradient: &mut [f32], sums: &mut [f32]) {
    let width = bias.len();
    for (gradient, x) in gradient.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        for (((g, x), bias), sum) in gradient.iter_mut().zip(x).zip(bias).zip(&mut *sums) {
            *g *= F::slope(x + bias);
            *sum += *g;
        }
    }
}
