//! burn-flex tensors as slices and back.

use burn::backend::DispatchDevice;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Shape, Tensor, TensorData};

/// The tensor with its elements in order from the start of its storage.
pub(crate) fn ordered(tensor: FlexTensor) -> FlexTensor {
    let whole = tensor.is_contiguous() && tensor.layout().start_offset() == 0;
    if whole && tensor.storage::<f32>().len() == tensor.layout().num_elements() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// A tensor of `values`, without a copy.
pub(crate) fn tensor<S: Into<Shape>>(values: Vec<f32>, shape: S) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The length of each axis.
pub(crate) fn dims<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    let shape = tensor.layout().shape();
    std::array::from_fn(|i| shape[i])
}

/// The elements of an [`ordered`] tensor.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.storage()
}

/// The elements of an [`ordered`] tensor, to be overwritten; copied first when another tensor
/// shares them.
pub(crate) fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    tensor.storage_mut()
}

/// A tensor of one axis.
pub(crate) fn vector(values: Vec<f32>) -> FlexTensor {
    let n = values.len();
    tensor(values, [n])
}

/// Whether tensors on `device` go through the operations of this crate that are written by hand:
/// they take rows of any length, where others need a rectangle.
pub fn is_fused(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}

/// Whether `x` goes through the fused operations.
pub(crate) fn runs_fused<const D: usize>(x: &Tensor<D>) -> bool {
    is_fused(&x.device())
}
