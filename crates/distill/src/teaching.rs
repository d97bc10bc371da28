//! From a teacher's tensors to those that a student is compared with.

use burn::tensor::{Device, Tensor};

/// The tensor on a device that differentiates, without a gradient, where `device` does.
pub fn known<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D> {
    if device.is_autodiff() { Tensor::from_inner(tensor) } else { tensor }
}

/// The device of a frozen model beside one on `device`.
pub fn frozen(device: &Device) -> Device {
    device.clone().without_autodiff()
}
