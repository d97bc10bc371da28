//! Updates of parameters, in one pass over memory where the backend allows.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::adam::{self, AdamStep, Parameter};
use crate::flex::{ordered, runs_fused, values, values_mut};

/// The two running means of a parameter's gradient, each as long as the parameter.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Of the gradient.
    pub mean: Tensor<1>,
    /// Of its square.
    pub square: Tensor<1>,
}

/// One step of AdamW (Loshchilov and Hutter 2019, algorithm 2). All tensors are flat and without a
/// graph; the gradient is multiplied with `scale`, `[1]`, first.
pub fn adamw(
    weight: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    scale: Tensor<1>,
    step: &AdamStep,
) -> (Tensor<1>, Moments) {
    if runs_fused(&weight) {
        return in_place(weight, gradient, moments, scale, |parameter, scale| {
            adam::adamw(parameter, scale, step)
        });
    }
    composed_adamw(weight, gradient * scale, moments, step)
}

fn composed_adamw(
    weight: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    step: &AdamStep,
) -> (Tensor<1>, Moments) {
    let (direction, moments) = direction(gradient, moments, step);
    let kept = composed::decayed(weight, &direction, step.rate * step.decay, step.is_cautious);
    (kept - direction * step.rate, moments)
}

/// One step of LAMB (You et al. 2020, algorithm 2): Adam's direction with the decay added, scaled
/// by
/// |weight| / |update|, or by 1 where either is 0.
pub fn lamb(
    weight: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    scale: Tensor<1>,
    step: &AdamStep,
) -> (Tensor<1>, Moments) {
    if runs_fused(&weight) {
        return in_place(weight, gradient, moments, scale, |parameter, scale| {
            adam::lamb(parameter, scale, step)
        });
    }
    composed_lamb(weight, gradient * scale, moments, step)
}

fn composed_lamb(
    weight: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    step: &AdamStep,
) -> (Tensor<1>, Moments) {
    let (direction, moments) = direction(gradient, moments, step);
    let update = direction + weight.clone() * step.decay;
    let (weights, updates) = (square_sum(&weight).sqrt(), square_sum(&update).sqrt());
    let zero = weights.clone().lower_equal_elem(0.0).bool_or(updates.clone().lower_equal_elem(0.0));
    let trust = (weights / updates).mask_fill(zero, 1.0);
    (weight - update * trust * step.rate, moments)
}

/// One step of AdaDelta (Zeiler 2012, algorithm 1), in PyTorch's order of decay: the mean is that
/// of squared steps, and its decay is that of the squared gradients. Ordinary tensor code on every
/// backend.
pub fn adadelta(
    weight: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    scale: Tensor<1>,
    step: &AdamStep,
) -> (Tensor<1>, Moments) {
    let gradient = gradient * scale + weight.clone() * step.decay;
    let square = moments.square * step.beta2 + gradient.clone().square() * (1.0 - step.beta2);
    let roots = [&moments.mean, &square].map(|mean| (mean.clone() + step.epsilon).sqrt());
    let [steps, gradients] = roots;
    let update = gradient * steps / gradients;
    let mean = moments.mean * step.beta2 + update.clone().square() * (1.0 - step.beta2);
    (weight - update * step.rate, Moments { mean, square })
}

/// The sum of the squares of `x`, `[1]`.
pub fn square_sum(x: &Tensor<1>) -> Tensor<1> {
    if !runs_fused(x) {
        return x.clone().square().sum();
    }
    let sum = adam::sum_of_squares(values(&primitive(x.clone())));
    Tensor::from_data([sum as f32], &x.device())
}

/// The sum of `parts`, which are equally long, added in their order.
///
/// # Panics
/// When there are none.
pub fn sum(parts: Vec<Tensor<1>>) -> Tensor<1> {
    let fused = parts.len() > 1 && runs_fused(&parts[0]);
    if !fused {
        return parts.into_iter().reduce(|sum, part| sum + part).expect("something to add");
    }
    let mut parts = parts.into_iter().map(primitive);
    let mut total = parts.next().expect("more than one");
    let parts: Vec<FlexTensor> = parts.collect();
    adam::add_all(values_mut(&mut total), &parts.iter().map(values).collect::<Vec<_>>());
    Tensor::from_primitive::<Flex>(total)
}

/// `from + share (to - from)` of equally long tensors without a graph.
pub fn interpolate(from: Tensor<1>, to: Tensor<1>, share: f64) -> Tensor<1> {
    if !runs_fused(&from) {
        return from * (1.0 - share) + to * share;
    }
    let (mut from, to) = (primitive(from), primitive(to));
    adam::interpolate(values_mut(&mut from), values(&to), share as f32);
    Tensor::from_primitive::<Flex>(from)
}

fn direction(gradient: Tensor<1>, moments: Moments, step: &AdamStep) -> (Tensor<1>, Moments) {
    let mean = moments.mean * step.beta1 + gradient.clone() * (1.0 - step.beta1);
    let square = moments.square * step.beta2 + gradient.square() * (1.0 - step.beta2);
    let root = square.clone().sqrt() * step.root_scale + step.epsilon;
    (mean.clone() * step.mean_scale / root, Moments { mean, square })
}

fn in_place(
    weight: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    scale: Tensor<1>,
    update: impl FnOnce(Parameter<'_>, f32),
) -> (Tensor<1>, Moments) {
    let (gradient, scale) = (primitive(gradient), values(&primitive(scale))[0]);
    let [mut weight, mut mean, mut square] = [weight, moments.mean, moments.square].map(primitive);
    update(
        Parameter {
            weight: values_mut(&mut weight),
            gradient: values(&gradient),
            mean: values_mut(&mut mean),
            square: values_mut(&mut square),
        },
        scale,
    );
    let [weight, mean, square] = [weight, mean, square].map(Tensor::from_primitive::<Flex>);
    (weight, Moments { mean, square })
}

/// The tensor of the CPU backend.
pub(crate) fn primitive(x: Tensor<1>) -> FlexTensor {
    ordered(x.try_into_primitive::<Flex>().expect("a tensor of the CPU backend without a graph"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, in_pool, wave};
    use burn::tensor::Device;

    fn flat(values: &[f32]) -> Tensor<1> {
        Tensor::from_data(values, &Device::flex())
    }

    #[test]
    fn parts_are_added_and_squared() {
        let parts: Vec<Vec<f32>> = (0..3).map(|seed| wave(70_000, seed)).collect();
        let want: Vec<f32> = (0..70_000).map(|i| parts.iter().map(|part| part[i]).sum()).collect();
        let total = sum(parts.iter().map(|part| flat(part)).collect());
        assert_close(&[host(&total)], std::slice::from_ref(&want), 1e-6, "sum");
        let squares: f64 = want.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        assert!((f64::from(host(&square_sum(&total))[0]) - squares).abs() < 1e-5 * squares);
        assert_eq!(host(&sum(vec![flat(&[2.0])])), [2.0]);
    }

    #[test]
    fn between_two_tensors_lie_those_that_are_interpolated() {
        let (from, to) = (wave(70_000, 1), wave(70_000, 2));
        let between = host(&interpolate(flat(&from), flat(&to), 0.25));
        let want: Vec<f32> =
            from.iter().zip(&to).map(|(from, to)| 0.75 * from + 0.25 * to).collect();
        assert_close(&[between], &[want], 1e-6, "a quarter of the way");
        assert_eq!(host(&interpolate(flat(&from), flat(&to), 0.0)), from);
    }

    const STEP: AdamStep = AdamStep {
        rate: 1e-2,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-6,
        decay: 0.1,
        is_cautious: false,
        mean_scale: 1.5,
        root_scale: 2.0,
    };

    /// What `update` makes of a weight in three steps, and of its moments.
    fn after_three(
        weight: &[f32],
        update: impl Fn(Tensor<1>, Tensor<1>, Moments) -> (Tensor<1>, Moments),
    ) -> Vec<Vec<f32>> {
        let weight = flat(weight);
        let moments = Moments { mean: weight.zeros_like(), square: weight.zeros_like() };
        let (weight, moments) = (0..3).fold((weight, moments), |(weight, moments), seed| {
            let gradient = flat(&wave(weight.dims()[0], 10 + seed));
            update(weight, gradient, moments)
        });
        [weight, moments.mean, moments.square].iter().map(host).collect()
    }

    #[test]
    fn updates_in_one_pass_are_those_of_the_composed_operations() {
        for weight in [vec![0.0; 5], wave(1, 1), wave(1000, 1)] {
            let one = || flat(&[0.5]);
            let fused = after_three(&weight, |w, g, m| adamw(w, g, m, one(), &STEP));
            let plain = after_three(&weight, |w, g, m| composed_adamw(w, g * one(), m, &STEP));
            assert_close(&fused, &plain, 1e-6, "AdamW");
            let cautious = AdamStep { is_cautious: true, ..STEP };
            let fused = after_three(&weight, |w, g, m| adamw(w, g, m, one(), &cautious));
            let plain = after_three(&weight, |w, g, m| composed_adamw(w, g * one(), m, &cautious));
            assert_close(&fused, &plain, 1e-6, "AdamW with cautious decay");
            let fused = after_three(&weight, |w, g, m| lamb(w, g, m, one(), &STEP));
            let plain = after_three(&weight, |w, g, m| composed_lamb(w, g * one(), m, &STEP));
            assert_close(&fused, &plain, 1e-6, "LAMB");
        }
    }

    #[test]
    fn adadelta_follows_the_published_algorithm() {
        let (n, step) = (20, AdamStep { rate: 1.0, epsilon: 0.1, ..STEP });
        let got = after_three(&wave(n, 1), |w, g, m| adadelta(w, g, m, flat(&[0.5]), &step));
        let by_hand = |i: usize| {
            let (mut x, mut steps, mut squares) = (f64::from(wave(n, 1)[i]), 0.0, 0.0);
            for seed in 0..3 {
                let gradient = 0.5 * f64::from(wave(n, 10 + seed)[i]) + step.decay * x;
                squares = step.beta2 * squares + (1.0 - step.beta2) * gradient * gradient;
                let update = gradient * ((steps + step.epsilon) / (squares + step.epsilon)).sqrt();
                steps = step.beta2 * steps + (1.0 - step.beta2) * update * update;
                x -= step.rate * update;
            }
            [x, steps, squares]
        };
        let want = [0, 1, 2].map(|part| (0..n).map(|i| by_hand(i)[part] as f32).collect());
        assert_close(&got, &want, 1e-6, "AdaDelta");
    }

    #[test]
    fn bits_do_not_depend_on_the_threads_and_shared_tensors_are_not_overwritten() {
        let n = 100_001;
        let (weight, gradient) = (flat(&wave(n, 1)), flat(&wave(n, 2)));
        let run = |threads| {
            in_pool(threads, || {
                let moments = Moments { mean: weight.zeros_like(), square: weight.zeros_like() };
                let scale = flat(&[0.5]);
                let (w, moments) =
                    adamw(weight.clone(), gradient.clone(), moments, scale.clone(), &STEP);
                let (w, _) = lamb(w, gradient.clone(), moments, scale, &STEP);
                host(&w)
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
        assert_eq!(host(&weight), wave(n, 1));
    }
}
