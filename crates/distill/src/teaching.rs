//! A frozen teacher's tensors beside a student that learns.

use burn::tensor::{Device, Tensor};

/// A teacher's tensor as a constant on the student's `device`.
pub fn known<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D> {
    if device.is_autodiff() { Tensor::from_inner(tensor) } else { tensor }
}

/// `device` without autodiff, for a frozen model.
pub fn frozen(device: &Device) -> Device {
    device.clone().without_autodiff()
}
