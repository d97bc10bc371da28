//! The affine map of a layer, on flat rows.

use burn::tensor::Tensor;

/// `x W + b` for `x: [rows, in]`, `weight: [in, out]`, `bias: [out]`, as one matrix product.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    x.matmul(weight) + bias.unsqueeze()
}
