//! Products of matrices, through the `gemm` crate (van der Geest 2023; the blocked algorithm of Goto's GEMM).

use gemm::Parallelism;

/// A matrix that is read: element (i, j) at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after another.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// Rows that begin `row_stride` elements apart.
    pub fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        let matrix = Self { data, rows, columns, row_stride, column_stride: 1 };
        assert!(matrix.last() <= data.len(), "the matrix lies within its slice");
        matrix
    }

    /// The same elements with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn last(&self) -> usize {
        match self.rows.min(self.columns) {
            0 => 0,
            _ => (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1,
        }
    }
}

/// A matrix that is written, with rows `row_stride` apart.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    data: &'a mut [f32],
    row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// Rows of `columns` elements one after another.
    pub fn new(data: &'a mut [f32], columns: usize) -> Self {
        Self { data, row_stride: columns }
    }

    /// Rows that begin `row_stride` elements apart.
    pub fn strided(data: &'a mut [f32], row_stride: usize) -> Self {
        Self { data, row_stride }
    }
}

/// What becomes of the values that stand in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// They are overwritten.
    Replace,
    /// The product is added to them.
    Add,
}

/// Who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread.
    One,
    /// The threads of the surrounding pool.
    Pool,
}

/// `out = factor * a b`, or `out += factor * a b`.
///
/// # Panics
/// When the shapes do not fit.
#[allow(unsafe_code, reason = "gemm takes pointers")]
pub fn multiply(out: MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>, factor: f32, output: Output, threads: Threads) {
    assert_eq!(a.columns, b.rows, "inner dimensions");
    let (m, n, k) = (a.rows, b.columns, a.columns);
    if m == 0 || n == 0 {
        return;
    }
    assert!((m - 1) * out.row_stride + n <= out.data.len() && n <= out.row_stride, "the output lies within its slice");
    let parallelism = match threads {
        Threads::Pool if rayon::current_num_threads() > 1 => Parallelism::Rayon(0),
        _ => Parallelism::None,
    };
    // SAFETY: the asserts above and in `Matrix` keep every element that gemm touches within its slice, and `out` is
    // borrowed mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.data.as_mut_ptr(),
            1,
            out.row_stride as isize,
            output == Output::Add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{in_pool, wave};

    #[test]
    fn products_agree_with_the_definition_in_every_layout() {
        for (m, n, k) in [(1, 1, 1), (3, 5, 7), (17, 33, 9), (64, 1, 40), (1, 70, 3)] {
            let (a, b) = (wave(m * k, 1), wave(k * n, 2));
            let want: Vec<f32> = (0..m * n)
                .map(|i| (0..k).map(|l| f64::from(a[i / n * k + l]) * f64::from(b[l * n + i % n])).sum::<f64>() as f32)
                .collect();
            let transposed = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
                (0..columns * rows).map(|i| x[i % rows * columns + i / rows]).collect()
            };
            let (at, bt) = (transposed(&a, m, k), transposed(&b, k, n));
            for (a, b) in [
                (Matrix::new(&a, m, k), Matrix::new(&b, k, n)),
                (Matrix::new(&at, k, m).transposed(), Matrix::new(&b, k, n)),
                (Matrix::new(&a, m, k), Matrix::new(&bt, n, k).transposed()),
            ] {
                let mut out = vec![1.0; m * n];
                multiply(MatrixMut::new(&mut out, n), a, b, 1.0, Output::Replace, Threads::One);
                for (got, want) in out.iter().zip(&want) {
                    assert!((got - want).abs() < 1e-4, "{got} {want}");
                }
                multiply(MatrixMut::new(&mut out, n), a, b, 2.0, Output::Add, Threads::One);
                for (got, want) in out.iter().zip(&want) {
                    assert!((got - 3.0 * want).abs() < 1e-4, "{got} {want}");
                }
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        for (m, n, k) in [(1024, 384, 128), (130, 515, 67), (2048, 128, 512), (128, 512, 1024)] {
            let (a, b) = (wave(m * k, 3), wave(k * n, 4));
            let product = |threads| {
                in_pool(threads, || {
                    let mut out = vec![0.0; m * n];
                    let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
                    multiply(MatrixMut::new(&mut out, n), a, b, 1.0, Output::Replace, Threads::Pool);
                    out
                })
            };
            let one = product(1);
            for threads in [2, 3, 4] {
                assert!(product(threads) == one, "{m} x {k} x {n} with {threads} threads");
            }
        }
    }
}
