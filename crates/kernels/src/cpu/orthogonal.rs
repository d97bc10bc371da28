//! Newton and Schulz's iteration towards the nearest orthogonal matrix.

use super::matmul::multiply;
use super::matrix::{Matrix, MatrixMut, Output, Threads};
use super::parts::unwritten;
use super::vectors::{sum_of, vectorised};

/// `(a, b, c)` of `X <- a X + (b A + c A A) X` with `A = X X^T` (Jordan et al. 2024): the singular
/// values come near 1 in five steps, within about 0.3.
pub const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// Rows of a block of a symmetric product.
const BLOCK: usize = 64;

/// The matrix `x: [rows, columns]` divided by its Frobenius norm, after `steps` steps, computed by
/// one thread.
pub fn orthogonalise(x: &[f32], rows: usize, columns: usize, steps: usize) -> Vec<f32> {
    if rows > columns {
        let turned = orthogonalise(&transposed(x, rows, columns), columns, rows, steps);
        return transposed(&turned, columns, rows);
    }

    let mut x = x.to_vec();
    let norm = squares(&x).sqrt() + 1e-7;
    scale(&mut x, 1.0 / norm);
    let (mut next, mut gram, mut square) =
        (unwritten(rows * columns), unwritten(rows * rows), unwritten(rows * rows));
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..steps {
        outer_square(&mut gram, &x, rows, columns);
        outer_square(&mut square, &gram, rows, rows);
        combine(&mut gram, b, &square, c);
        let (polynomial, matrix) = (Matrix::new(&gram, rows, rows), Matrix::new(&x, rows, columns));
        let out = MatrixMut::new(&mut next, columns);
        multiply(out, polynomial, matrix, 1.0, Output::Replace, Threads::One);
        combine(&mut x, a, &next, 1.0);
    }
    x
}

/// `x x^T` of `x: [rows, columns]`: the blocks below the diagonal are computed, those above are
/// copied.
fn outer_square(out: &mut [f32], x: &[f32], rows: usize, columns: usize) {
    for start in (0..rows).step_by(BLOCK) {
        let end = rows.min(start + BLOCK);
        let block = Matrix::new(&x[start * columns..end * columns], end - start, columns);
        let before = Matrix::new(&x[..end * columns], end, columns).transposed();
        let place = MatrixMut::strided(&mut out[start * rows..], rows);
        multiply(place, block, before, 1.0, Output::Replace, Threads::One);
    }
    for i in 0..rows {
        for j in (i / BLOCK + 1) * BLOCK..rows {
            out[i * rows + j] = out[j * rows + i];
        }
    }
}

fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = unwritten(x.len());
    for (i, row) in x.chunks_exact(columns).enumerate() {
        for (j, value) in row.iter().enumerate() {
            out[j * rows + i] = *value;
        }
    }
    out
}

vectorised! {
    fn squares(x: &[f32]) -> f32 {
        sum_of([x], |[x]| x * x)
    }

    fn scale(x: &mut [f32], factor: f32) {
        x.iter_mut().for_each(|x| *x *= factor);
    }

    /// `x = a x + b y`
    fn combine(x: &mut [f32], a: f32, y: &[f32], b: f32) {
        for (x, y) in x.iter_mut().zip(y) {
            *x = a * *x + b * y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wave;

    #[test]
    fn symmetric_products_are_whole_products() {
        for (rows, columns) in [(1, 3), (64, 10), (65, 7), (150, 150)] {
            let x = wave(rows * columns, 1);
            let mut out = vec![f32::NAN; rows * rows];
            outer_square(&mut out, &x, rows, columns);
            for i in 0..rows {
                for j in 0..rows {
                    let pairs = (0..columns).map(|k| (x[i * columns + k], x[j * columns + k]));
                    let want: f64 = pairs.map(|(a, b)| f64::from(a) * f64::from(b)).sum();
                    let near = (f64::from(out[i * rows + j]) - want).abs() < 1e-6 * columns as f64;
                    assert!(near, "({i}, {j})");
                }
            }
        }
    }

    #[test]
    fn a_matrix_and_its_transpose_go_to_the_same() {
        let x = wave(30 * 12, 1);
        let tall = orthogonalise(&x, 30, 12, 5);
        let wide = orthogonalise(&transposed(&x, 30, 12), 12, 30, 5);
        assert_eq!(tall, transposed(&wide, 12, 30));
    }

    #[test]
    fn a_diagonal_matrix_shows_what_becomes_of_singular_values() {
        // The iteration acts on each singular value s alone: s <- a s + b s^3 + c s^5.
        let values = [3.0f32, 2.0, 0.5, 0.1];
        let mut x = vec![0.0; 16];
        values.iter().enumerate().for_each(|(i, value)| x[5 * i] = *value);
        let out = orthogonalise(&x, 4, 4, 5);
        let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
        for (i, value) in values.iter().enumerate() {
            let step = |s: f64, _: i32| {
                let [a, b, c] = COEFFICIENTS.map(f64::from);
                a * s + b * s.powi(3) + c * s.powi(5)
            };
            let want = (0..5).fold(f64::from(value / norm), step);
            assert!((f64::from(out[5 * i]) - want).abs() < 1e-4, "{value}: {} {want}", out[5 * i]);
            assert!((0.6..1.3).contains(&out[5 * i]), "{value}");
        }
    }
}
