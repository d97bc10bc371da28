//! The nearest orthogonal matrices, for the optimizer Muon.

use burn::backend::Flex;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::composed;
use crate::cpu::orthogonal;
use crate::flex::{ordered, runs_fused, tensor, values};

/// The momentum of a matrix after Newton and Schulz's iteration, by `steps` steps each: `U V^T` of
/// its singular value decomposition `U S V^T`, with singular values between about 0.7 and 1.2
/// instead of 1 (Jordan et al. 2024, "Muon"). The matrices have no graph; on the CPU they are
/// computed side by side, each by one thread.
pub fn orthogonalise(matrices: Vec<Tensor<2>>, steps: usize) -> Vec<Tensor<2>> {
    let fused = matrices.first().is_some_and(runs_fused);
    if !fused {
        let one = |matrix| composed::orthogonalise(matrix, steps);
        return matrices.into_iter().map(one).collect();
    }
    let work = |matrix: Tensor<2>| {
        let [rows, columns] = matrix.dims();
        let primitive = matrix.try_into_primitive::<Flex>();
        let x = ordered(primitive.expect("a tensor of the CPU backend without a graph"));
        let x = orthogonal::orthogonalise(values(&x), rows, columns, steps);
        Tensor::from_primitive::<Flex>(tensor(x, [rows, columns]))
    };
    matrices.into_par_iter().map(work).collect()
}
