//! What the variants' forward passes share.

use burn::tensor::{Device, Tensor};
use kernels::Noise;

/// How a forward pass is made: with noise a training pass, without an evaluation pass.
pub struct Pass<'a> {
    pub noise: Option<&'a mut Noise>,
    pub device: &'a Device,
}

/// 1 for true and 0 for false, `[n]`.
pub fn floats(flags: &[bool], device: &Device) -> Tensor<1> {
    let values: Vec<f32> = flags.iter().map(|flag| f32::from(u8::from(*flag))).collect();
    Tensor::from_data(values.as_slice(), device)
}

/// How many flags are true.
pub fn number_of(flags: &[bool]) -> f64 {
    flags.iter().filter(|flag| **flag).count() as f64
}
