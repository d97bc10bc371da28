//! Products of matrices by the precision of their factors.

use super::matrix::{Matrix, MatrixMut, Output, Threads};
use super::{bf16, matmul};
use crate::precision::Precision;

/// `out = a b`, or `out += a b`, with factors of this precision, by the threads of the surrounding
/// pool.
///
/// # Panics
/// When the shapes do not fit.
pub fn multiply(
    precision: Precision,
    out: MatrixMut<'_>,
    a: Matrix<'_>,
    b: Matrix<'_>,
    output: Output,
) {
    match precision {
        Precision::F32 => matmul::multiply(out, a, b, 1.0, output, Threads::Pool),
        Precision::Bf16 => bf16::multiply(out, a, b, output),
    }
}
