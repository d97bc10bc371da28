//! Products of matrices whose factors are rounded to bfloat16 on their way into the cache.
//!
//! Goto's blocked algorithm (Goto and van de Geijn 2008): both factors are packed into panels in
//! the order in which they are read, and tiles of the output are summed in registers. An element of
//! a panel is a pair of neighbours along the inner dimension, which is what the instruction
//! `vdpbf16ps` takes: it adds two products to a sum of 32 bits, twice as many in a cycle as in 32
//! bits.

use rayon::prelude::*;

use super::matmul;
use super::matrix::{Matrix, MatrixMut, Output, Threads};
use super::parts::unwritten;
use super::vectors::vectorised;
use crate::precision::Precision;

/// Rows of a tile.
const ROWS: usize = 12;
/// Columns of a tile: two registers of sums. With 12 rows that is 24 of the 32 registers.
const COLUMNS: usize = 32;
/// Pairs that are summed in registers before they are added to the output. A panel of the right
/// factor then takes half of the first-level cache.
const DEPTH: usize = 128;
/// Elements of the left factor that are packed at a time, which stay in the second-level cache.
const BLOCK: usize = 1 << 17;
/// Panels of the right factor that are packed at a time.
const GROUP: usize = 8;

/// `out = a b`, or `out += a b`, with both factors rounded to bfloat16, by the threads of the
/// surrounding pool. The same bits come out for any number of threads, but not with and without
/// instructions for it, which sum in other orders.
///
/// # Panics
/// When the shapes do not fit.
pub fn multiply(out: MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>, output: Output) {
    // A sum of nothing has no pairs to pack.
    if Precision::Bf16.is_native() && a.columns > 0 {
        multiply_packed(out, a, b, output);
    } else {
        multiply_copies(out, a, b, output);
    }
}

/// A 32-bit product of rounded copies.
fn multiply_copies(out: MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>, output: Output) {
    let [left, right] = [a, b]
        .map(|x| x.data.iter().map(|x| f32::from_bits(rounded(*x) << 16)).collect::<Vec<f32>>());
    let (a, b) = (Matrix { data: &left, ..a }, Matrix { data: &right, ..b });
    matmul::multiply(out, a, b, 1.0, output, Threads::Pool);
}

/// The product by tiles; needs the instructions.
fn multiply_packed(out: MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>, output: Output) {
    out.assert_holds(a, b);
    let (m, n, pairs, stride) = (a.rows, b.columns, a.columns.div_ceil(2), out.row_stride);
    let b = b.transposed();
    let mut right = unwritten(n.div_ceil(COLUMNS) * pairs * COLUMNS);
    let groups = right.par_chunks_mut(GROUP * pairs * COLUMNS).enumerate();
    groups.for_each(|(i, panels)| pack::<COLUMNS>(b, i * GROUP * COLUMNS, panels));
    let most = (BLOCK / (2 * pairs)).min(m.div_ceil(rayon::current_num_threads()));
    let block = most.div_ceil(ROWS).max(1) * ROWS;
    out.data.par_chunks_mut(block * stride).take(m.div_ceil(block)).enumerate().for_each(
        |(i, out)| {
            let first = i * block;
            let rows = block.min(m - first);
            let mut left = unwritten(rows.div_ceil(ROWS) * pairs * ROWS);
            pack::<ROWS>(a, first, &mut left);

            for (j, right) in right.chunks_exact(pairs * COLUMNS).enumerate() {
                for start in (0..pairs).step_by(DEPTH) {
                    let depth = start..(start + DEPTH).min(pairs);
                    let right = &right[depth.start * COLUMNS..depth.end * COLUMNS];
                    for (i, left) in left.chunks_exact(pairs * ROWS).enumerate() {
                        let left = &left[depth.start * ROWS..depth.end * ROWS];
                        let target = Target {
                            data: &mut out[i * ROWS * stride + j * COLUMNS..],
                            stride,
                            shape: [ROWS.min(rows - i * ROWS), COLUMNS.min(n - j * COLUMNS)],
                            output: if start > 0 { Output::Add } else { output },
                        };
                        tile(left, right, target);
                    }
                }
            }
        },
    );
}

/// Where a tile goes.
struct Target<'a> {
    /// From the tile's first element on.
    data: &'a mut [f32],
    stride: usize,
    /// How many rows and columns of the tile are wanted.
    shape: [usize; 2],
    output: Output,
}

/// Puts the sums over the pairs of two panels to `target`.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "instructions that not every processor has")]
fn tile(left: &[u32], right: &[u32], target: Target<'_>) {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_set1_epi32,
        _mm512_setzero_ps,
    };

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn sum(left: &[[u32; ROWS]], right: &[[[u32; 16]; 2]], target: Target<'_>) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for (left, right) in left.iter().zip(right) {
            // SAFETY: both types are 512 bits, all of which are valid.
            let right =
                right.map(|half| unsafe { std::mem::transmute::<[u32; 16], __m512bh>(half) });
            for (sums, left) in sums.iter_mut().zip(left) {
                // SAFETY: as above.
                let left = unsafe {
                    std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(left.cast_signed()))
                };
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = _mm512_dpbf16_ps(*sum, left, right);
                }
            }
        }

        let [rows, columns] = target.shape;
        let add = target.output == Output::Add;
        // Written out, since sums that are looked up by a number cannot stay in registers.
        macro_rules! put_rows {
            ($($row:literal)*) => {$(
                if $row < rows {
                    put(sums[$row], &mut target.data[$row * target.stride..][..columns], add);
                }
            )*};
        }
        put_rows!(0 1 2 3 4 5 6 7 8 9 10 11);
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn put(sums: [__m512; 2], row: &mut [f32], add: bool) {
        // SAFETY: both types are 32 floats.
        let floats = |sums| unsafe { std::mem::transmute::<[__m512; 2], [f32; COLUMNS]>(sums) };
        match row.first_chunk_mut::<COLUMNS>() {
            Some(row) if add => {
                // SAFETY: as above.
                let old = unsafe { std::mem::transmute::<[f32; COLUMNS], [__m512; 2]>(*row) };
                *row = floats([_mm512_add_ps(old[0], sums[0]), _mm512_add_ps(old[1], sums[1])]);
            }
            Some(row) => *row = floats(sums),
            None => {
                let pairs = row.iter_mut().zip(floats(sums));
                pairs.for_each(|(out, sum)| *out = if add { *out + sum } else { sum });
            }
        }
    }

    let (right, _) = right.as_chunks::<16>().0.as_chunks();
    // SAFETY: `multiply` comes here only where the processor has the instructions.
    unsafe { sum(left.as_chunks().0, right, target) }
}

#[cfg(not(target_arch = "x86_64"))]
fn tile(_: &[u32], _: &[u32], _: Target<'_>) {
    unreachable!("`multiply` comes here only where the processor has the instructions")
}

/// Packs rows of `x` from `first` on, `LINES` in a panel: for each pair of columns, one pair a row,
/// and zeros where rows or columns are missing.
fn pack<const LINES: usize>(x: Matrix<'_>, first: usize, panels: &mut [u32]) {
    let (panels, pairs) = (panels.as_chunks_mut::<LINES>().0, x.columns.div_ceil(2));
    let rows = (panels.len() / pairs * LINES).min(x.rows - first);
    panels[rows / LINES * pairs..].as_flattened_mut().fill(0);
    let data = &x.data[first * x.row_stride..];
    if x.column_stride > 1 {
        return pack_across(data, [rows, x.columns], x.column_stride, panels);
    }
    for (i, panel) in panels.chunks_exact_mut(pairs).enumerate() {
        let lines = LINES.min(rows - i * LINES);
        pack_along(&data[i * LINES * x.row_stride..], [lines, x.columns], x.row_stride, panel);
    }
}

vectorised! {
    /// Lines that lie `stride` elements apart, the elements of a line side by side.
    fn pack_along<const LINES: usize>(data: &[f32], shape: [usize; 2], stride: usize, panel: &mut [[u32; LINES]]) {
        /// Pairs of a line that are taken at a time.
        const STEP: usize = 16;
        let [lines, length] = shape;

        let mut square = [[0; STEP]; LINES];
        for (i, panel) in panel.chunks_mut(STEP).enumerate() {
            let (from, to) = (2 * STEP * i, length.min(2 * STEP * (i + 1)));
            for (line, pairs) in square[..lines].iter_mut().enumerate() {
                let (whole, rest) = data[line * stride + from..line * stride + to].as_chunks::<2>();
                // The same loop twice: of a known length it becomes vector instructions.
                if let Some(whole) = whole.first_chunk::<STEP>() {
                    pairs.iter_mut().zip(whole).for_each(|(pair, [low, high])| *pair = joined(*low, *high));
                } else {
                    pairs.iter_mut().zip(whole).for_each(|(pair, [low, high])| *pair = joined(*low, *high));
                    rest.iter().for_each(|last| pairs[whole.len()] = joined(*last, 0.0));
                }
            }

            for (pair, panel) in panel.iter_mut().enumerate() {
                panel.iter_mut().zip(&square).for_each(|(to, line)| *to = line[pair]);
            }
        }
    }

    /// Lines that lie side by side, the elements of a line `stride` apart, into as many panels as
    /// they need.
    fn pack_across<const LINES: usize>(data: &[f32], shape: [usize; 2], stride: usize, panels: &mut [[u32; LINES]]) {
        let [lines, length] = shape;
        let pairs = length.div_ceil(2);
        let (mut row, nothing) = (vec![0; lines], vec![0.0; lines]);
        for pair in 0..pairs {
            let low = &data[2 * pair * stride..][..lines];
            let high = if 2 * pair + 1 < length { &data[(2 * pair + 1) * stride..][..lines] } else { &nothing };
            // In one long loop, and not panel by panel: rows of twelve are no vectors.
            row.iter_mut().zip(low.iter().zip(high)).for_each(|(to, (low, high))| *to = joined(*low, *high));
            let (whole, rest) = row.as_chunks::<LINES>();
            for (i, whole) in whole.iter().enumerate() {
                panels[i * pairs + pair] = *whole;
            }
            if !rest.is_empty() {
                panels[whole.len() * pairs + pair][..rest.len()].copy_from_slice(rest);
            }
        }
    }
}

/// Two neighbours, the first in the lower half.
#[inline(always)]
fn joined(low: f32, high: f32) -> u32 {
    rounded(low) | rounded(high) << 16
}

/// The upper half of `x` after rounding to the nearest bfloat16, to even where two are as near.
#[inline(always)]
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    if x.is_nan() { 0x7fc0 } else { (bits + 0x7fff + (bits >> 16 & 1)) >> 16 }
}

#[cfg(test)]
mod tests {
    use super::super::matmul::tests::{assert_ignores_threads, assert_multiplies};
    use super::*;

    type Way = fn(MatrixMut<'_>, Matrix<'_>, Matrix<'_>, Output);

    /// With instructions for it, where there are any, and without.
    const WAYS: [Way; 2] = [multiply, multiply_copies];

    fn round(x: f32) -> f32 {
        f32::from_bits(rounded(x) << 16)
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest_and_to_even() {
        // Next to 1 there are 1 + 2^-7 and 1 - 2^-8.
        assert_eq!(round(1.0 + 1.0 / 256.0), 1.0);
        assert_eq!(round(1.0 + 3.0 / 256.0), 1.0 + 4.0 / 256.0);
        assert_eq!(round(1.0 + 1.1 / 256.0), 1.0 + 2.0 / 256.0);
        assert_eq!(round(-1.0 - 1.1 / 256.0), -1.0 - 2.0 / 256.0);
        assert_eq!(
            (round(0.0), round(f32::INFINITY), round(f32::MAX)),
            (0.0, f32::INFINITY, f32::INFINITY)
        );
        assert!(round(f32::NAN).is_nan() && round(f32::from_bits(0xffff_ffff)).is_nan());
    }

    #[test]
    fn products_are_those_of_the_rounded_factors_in_every_layout() {
        if !Precision::Bf16.is_native() {
            eprintln!("tiles are not tested here: this processor has no instructions for bfloat16");
        }
        WAYS.into_iter().for_each(|way| assert_multiplies(way, 1.0, round));
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        for way in WAYS {
            let (a, b) = ([1.0, f32::NAN, 2.0, 3.0], [1.0, 0.0, 0.0, 1.0]);
            let mut out = [0.0; 4];
            way(
                MatrixMut::new(&mut out, 2),
                Matrix::new(&a, 2, 2),
                Matrix::new(&b, 2, 2),
                Output::Replace,
            );
            assert!(out[0].is_nan() && out[1].is_nan());
            assert_eq!(out[2..], [2.0, 3.0]);
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        assert_ignores_threads(|out, a, b| multiply(out, a, b, Output::Replace));
    }
}
