//! Products of matrices in 32 bits, through the `gemm` crate (van der Geest 2023; the blocked
//! algorithm of Goto's GEMM).

use gemm::Parallelism;

use super::matrix::{Matrix, MatrixMut, Output, Threads};

/// `out = factor * a b`, or `out += factor * a b`.
///
/// # Panics
/// When the shapes do not fit.
#[allow(unsafe_code, reason = "gemm takes pointers")]
pub fn multiply(
    out: MatrixMut<'_>,
    a: Matrix<'_>,
    b: Matrix<'_>,
    factor: f32,
    output: Output,
    threads: Threads,
) {
    out.assert_holds(a, b);
    let (m, n, k) = (a.rows, b.columns, a.columns);
    if m == 0 || n == 0 {
        return;
    }

    let parallelism = match threads {
        Threads::Pool if rayon::current_num_threads() > 1 => Parallelism::Rayon(0),
        _ => Parallelism::None,
    };

    // SAFETY: the assertions above and in `Matrix` keep every element that gemm touches within its
    // slice, and `out` is borrowed mutably, so it overlaps neither `a` nor `b`.
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
pub mod tests {
    //! With what other modules check their products by.

    use super::*;
    use crate::testing::{in_pool, wave};

    const SHAPES: [[usize; 3]; 8] = [
        [1, 1, 1],
        [12, 32, 2],
        [13, 33, 3],
        [3, 5, 7],
        [101, 131, 257],
        [64, 1, 600],
        [1, 70, 515],
        [200, 40, 1200],
    ];

    /// Checks `way` against the definition of a product of rounded factors, in every layout,
    /// between rows that are not to be written.
    pub fn assert_multiplies(
        way: impl Fn(MatrixMut<'_>, Matrix<'_>, Matrix<'_>, Output),
        factor: f64,
        round: impl Fn(f32) -> f32,
    ) {
        for [m, n, k] in SHAPES {
            let (a, b) = (wave(m * k, 1), wave(k * n, 2));
            let exact = |x: f32| f64::from(round(x));
            let sum = |i: usize| {
                (0..k).map(|l| exact(a[i / n * k + l]) * exact(b[l * n + i % n])).sum::<f64>()
            };

            let want: Vec<f64> = (0..m * n).map(|i| factor * sum(i)).collect();
            let transposed = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
                (0..columns * rows).map(|i| x[i % rows * columns + i / rows]).collect()
            };

            let (at, bt) = (transposed(&a, m, k), transposed(&b, k, n));
            for (a, b) in [
                (Matrix::new(&a, m, k), Matrix::new(&b, k, n)),
                (Matrix::new(&at, k, m).transposed(), Matrix::new(&b, k, n)),
                (Matrix::new(&a, m, k), Matrix::new(&bt, n, k).transposed()),
            ] {
                let stride = n + 3;
                let mut out = vec![1.0; m * stride];
                for (output, times) in [(Output::Replace, 1.0), (Output::Add, 2.0)] {
                    way(MatrixMut::strided(&mut out, stride), a, b, output);
                    for (i, want) in want.iter().enumerate() {
                        let got = f64::from(out[i / n * stride + i % n]);
                        // The sums are rounded to 24 bits.
                        assert!(
                            (got - times * want).abs() < 1e-6 * k as f64 + 1e-6,
                            "{m} x {n} x {k}: {got} {want}"
                        );
                    }
                }
                let mut beyond = out.chunks(stride).flat_map(|row| &row[n..]);
                assert!(beyond.all(|x| *x == 1.0), "nothing beyond the columns is written");
            }
        }
    }

    /// Checks that `way` gives the same bits in pools of any size.
    pub fn assert_ignores_threads(way: impl Fn(MatrixMut<'_>, Matrix<'_>, Matrix<'_>) + Sync) {
        for (m, n, k) in [(1024, 384, 128), (130, 515, 67), (2048, 128, 512), (128, 512, 1024)] {
            let (a, b) = (wave(m * k, 3), wave(k * n, 4));
            let product = |threads| {
                in_pool(threads, || {
                    let mut out = vec![0.0; m * n];
                    way(MatrixMut::new(&mut out, n), Matrix::new(&a, m, k), Matrix::new(&b, k, n));
                    out
                })
            };
            let one = product(1);
            for threads in [2, 3, 4] {
                assert!(product(threads) == one, "{m} x {k} x {n} with {threads} threads");
            }
        }
    }

    #[test]
    fn products_agree_with_the_definition_in_every_layout() {
        for threads in [Threads::One, Threads::Pool] {
            assert_multiplies(
                |out, a, b, output| multiply(out, a, b, 1.0, output, threads),
                1.0,
                |x| x,
            );
            assert_multiplies(
                |out, a, b, output| multiply(out, a, b, 0.5, output, threads),
                0.5,
                |x| x,
            );
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        assert_ignores_threads(|out, a, b| {
            multiply(out, a, b, 1.0, Output::Replace, Threads::Pool)
        });
    }

    #[test]
    #[should_panic(expected = "the output lies within its slice")]
    fn an_output_that_is_too_small_is_refused() {
        let (a, mut out) = ([1.0; 6], [0.0; 5]);
        let (a, b) = (Matrix::new(&a, 2, 3), Matrix::new(&a, 3, 2));
        multiply(MatrixMut::strided(&mut out, 4), a, b, 1.0, Output::Replace, Threads::One);
    }
}
