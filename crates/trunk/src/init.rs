//! Initial weights, drawn on the host so that a seed means the same weights on every backend.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A parameter drawn from the normal distribution with standard deviation `std`, truncated at two
/// deviations (TensorFlow's `truncated_normal_initializer`, which the authors of BERT, ALBERT and
/// ELECTRA use).
pub fn truncated_normal<const D: usize>(
    shape: [usize; D],
    std: f64,
    rng: &mut ChaCha8Rng,
    device: &Device,
) -> Param<Tensor<D>> {
    let values = (0..shape.iter().product()).map(|_| (std * truncated(rng)) as f32).collect();
    parameter(values, shape, device)
}

/// A parameter whose elements are all `value`.
pub fn constant<const D: usize>(
    shape: [usize; D],
    value: f32,
    device: &Device,
) -> Param<Tensor<D>> {
    parameter(vec![value; shape.iter().product()], shape, device)
}

/// A new value, computed without a graph, of a parameter on `device`: with the autodiff and the
/// gradient checkpointing of the device.
pub fn as_parameter<const D: usize>(new: Tensor<D>, device: &Device) -> Tensor<D> {
    match device.gradient_checkpointing_strategy() {
        Some(strategy) => {
            new.autodiff().with_gradient_checkpointing_strategy(strategy).require_grad()
        }
        None => new,
    }
}

fn parameter<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

/// A standard normal number in [-2, 2], by Box and Muller's transform and rejection.
fn truncated(rng: &mut ChaCha8Rng) -> f64 {
    loop {
        let radius = (-2.0 * (1.0 - uniform(rng)).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * uniform(rng)).cos();
        if normal.abs() <= 2.0 {
            return normal;
        }
    }
}

/// A number in [0, 1) with 53 random bits.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn weights_have_the_truncated_distribution_and_repeat_with_the_seed() {
        let device = Device::flex();
        let draw = |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let param = truncated_normal([100, 200], 0.02, &mut rng, &device);
            param.val().into_data().try_into_vec::<f32>().expect("f32")
        };
        let weights = draw(1);
        let n = weights.len() as f64;
        let mean = weights.iter().map(|w| f64::from(*w)).sum::<f64>() / n;
        let std = (weights.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / n).sqrt();
        assert!(weights.iter().all(|w| w.abs() <= 0.04));
        // The truncation leaves a standard deviation of 0.8796 of the uncut one.
        assert!(mean.abs() < 5e-4 && (std - 0.02 * 0.8796).abs() < 3e-4, "{mean} {std}");
        assert_eq!(weights, draw(1));
        assert_ne!(weights, draw(2));
    }
}
