//! Multi-head attention, one sequence and head at a time, without keeping the weights.
//!
//! The forward pass keeps the logarithm of each softmax denominator, and the backward pass computes the weights again
//! from it (as FlashAttention does, Dao et al. 2022): a head's square of weights stays in the cache and never goes to
//! memory, which costs one more small product and saves `heads * len` numbers a token.

use rayon::prelude::*;

use super::dropout::Mask;
use super::matmul::{Matrix, MatrixMut, Output, Threads, multiply};
use super::parts::unwritten;
use super::softmax::exponentials;
use super::vectors::{exp, sum_of, vectorised};

/// The shape of a batch.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Heads; they split the width evenly.
    pub heads: usize,
    /// Real tokens of each sequence; what follows is padding.
    pub lengths: Vec<usize>,
    /// Which weights are dropped.
    pub mask: Option<Mask>,
}

impl Heads {
    /// The mask of sequence `b` with its key.
    fn drop(&self, b: usize) -> Option<(&Mask, u64)> {
        self.mask.as_ref().map(|mask| (mask, mask.keys[b]))
    }
}

/// Number of the weight (head, query, 0) within its sequence. Fixed strides, so that it does not depend on the padding.
pub fn weight_index(head: usize, query: usize) -> u32 {
    ((head as u32) << 24).wrapping_add((query as u32) << 12)
}

/// One head of one sequence: where its queries, keys and values lie in rows of `[3 * d]`.
#[derive(Clone, Copy)]
struct Head {
    index: usize,
    width: usize,
    d: usize,
    tokens: usize,
    heads: usize,
}

impl Head {
    fn part<'a>(&self, packed: &'a [f32], which: usize) -> Matrix<'a> {
        let start = which * self.d + self.index * self.width;
        Matrix::strided(&packed[start..], self.tokens, self.width, 3 * self.d)
    }

    fn part_mut<'a>(&self, packed: &'a mut [f32], which: usize) -> MatrixMut<'a> {
        let start = which * self.d + self.index * self.width;
        MatrixMut::strided(&mut packed[start..], 3 * self.d)
    }

    /// The columns of this head in rows of `[d]`.
    fn of<'a>(&self, rows: &'a [f32]) -> Matrix<'a> {
        Matrix::strided(&rows[self.index * self.width..], self.tokens, self.width, self.d)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// `softmax(Q K^T / sqrt(width)) V` per head for packed rows `[q, k, v]`, and the logarithms of the denominators,
/// `[batch * len, heads]`. Rows of padding are 0.
pub fn forward(packed: &[f32], d: usize, shape: &Heads) -> (Vec<f32>, Vec<f32>) {
    let rows = packed.len() / (3 * d);
    let (batch, heads) = (shape.lengths.len(), shape.heads);
    let len = rows / batch;
    let (mut out, mut logs) = (unwritten(rows * d), vec![0.0; rows * heads]);
    let work = |scratch: &mut Vec<f32>, (b, ((out, logs), packed)): (usize, ((&mut [f32], &mut [f32]), &[f32]))| {
        let tokens = shape.lengths[b];
        scratch.resize(tokens * tokens, 0.0);
        out[tokens * d..].fill(0.0);
        for index in 0..heads {
            let head = Head { index, width: d / heads, d, tokens, heads };
            let (q, k, v) = (head.part(packed, 0), head.part(packed, 1), head.part(packed, 2));
            multiply(MatrixMut::new(scratch, tokens), q, k.transposed(), 1.0, Output::Replace, Threads::One);
            weigh(scratch, head, logs, shape.drop(b));
            let target = MatrixMut::strided(&mut out[index * head.width..], d);
            multiply(target, Matrix::new(scratch, tokens, tokens), v, 1.0, Output::Replace, Threads::One);
        }
    };
    out.par_chunks_mut(len * d)
        .zip(logs.par_chunks_mut(len * heads))
        .zip(packed.par_chunks(len * 3 * d))
        .enumerate()
        .for_each_init(Vec::new, work);
    (out, logs)
}

/// The gradient of the packed rows.
pub fn backward(packed: &[f32], logs: &[f32], gradient: &[f32], d: usize, shape: &Heads) -> Vec<f32> {
    let rows = packed.len() / (3 * d);
    let (batch, heads) = (shape.lengths.len(), shape.heads);
    let len = rows / batch;
    let mut out = unwritten(packed.len());
    let work = |scratch: &mut [Vec<f32>; 3], (b, out): (usize, &mut [f32])| {
        let tokens = shape.lengths[b];
        let packed = &packed[b * len * 3 * d..(b + 1) * len * 3 * d];
        let (logs, gradient) = (&logs[b * len * heads..], &gradient[b * len * d..(b + 1) * len * d]);
        scratch.iter_mut().for_each(|square| square.resize(tokens * tokens, 0.0));
        let [weights, dropped, scores] = scratch;
        out[tokens * 3 * d..].fill(0.0);
        for index in 0..heads {
            let head = Head { index, width: d / heads, d, tokens, heads };
            let (q, k, v) = (head.part(packed, 0), head.part(packed, 1), head.part(packed, 2));
            let upper = head.of(gradient);
            multiply(MatrixMut::new(weights, tokens), q, k.transposed(), 1.0, Output::Replace, Threads::One);
            weigh_again(weights, dropped, head, logs, shape.drop(b));
            let kept: &[f32] = if shape.mask.is_some() { dropped } else { weights };
            let transposed = Matrix::new(kept, tokens, tokens).transposed();
            multiply(head.part_mut(out, 2), transposed, upper, 1.0, Output::Replace, Threads::One);
            multiply(MatrixMut::new(scores, tokens), upper, v.transposed(), 1.0, Output::Replace, Threads::One);
            score_gradients(scores, weights, kept, tokens);
            let (square, scale) = (Matrix::new(scores, tokens, tokens), head.scale());
            multiply(head.part_mut(out, 0), square, k, scale, Output::Replace, Threads::One);
            multiply(head.part_mut(out, 1), square.transposed(), q, scale, Output::Replace, Threads::One);
        }
    };
    out.par_chunks_mut(len * 3 * d).enumerate().for_each_init(Default::default, work);
    out
}

vectorised! {
    /// Scores become dropped-out weights; the logarithms of the denominators go to `logs`, `[len, heads]`.
    fn weigh(scores: &mut [f32], head: Head, logs: &mut [f32], drop: Option<(&Mask, u64)>) {
        let scale = head.scale();
        for (query, row) in scores.chunks_exact_mut(head.tokens).enumerate() {
            let (sum, most) = exponentials(row, scale);
            logs[query * head.heads + head.index] = most * scale + sum.ln();
            let part = 1.0 / sum;
            match drop {
                Some((mask, key)) => {
                    let start = weight_index(head.index, query);
                    for (x, i) in row.iter_mut().zip(0u32..) {
                        *x = *x * part * mask.factor(key, start.wrapping_add(i));
                    }
                }
                None => row.iter_mut().for_each(|x| *x *= part),
            }
        }
    }

    /// Scores become weights, given the logarithms of the denominators; `dropped` holds them after dropout.
    fn weigh_again(scores: &mut [f32], dropped: &mut [f32], head: Head, logs: &[f32], drop: Option<(&Mask, u64)>) {
        let scale = head.scale();
        let rows = scores.chunks_exact_mut(head.tokens).zip(dropped.chunks_exact_mut(head.tokens));
        for (query, (row, dropped)) in rows.enumerate() {
            let log = logs[query * head.heads + head.index];
            match drop {
                Some((mask, key)) => {
                    let start = weight_index(head.index, query);
                    for ((x, dropped), i) in row.iter_mut().zip(dropped).zip(0u32..) {
                        *x = exp(*x * scale - log);
                        *dropped = *x * mask.factor(key, start.wrapping_add(i));
                    }
                }
                None => row.iter_mut().for_each(|x| *x = exp(*x * scale - log)),
            }
        }
    }

    /// With W the weights, M their mask and G the gradient of W M, in `gradient`: the gradient of the scores is
    /// W (G M - sum(G M W)), and W M is at hand in `kept`.
    fn score_gradients(gradient: &mut [f32], weights: &[f32], kept: &[f32], tokens: usize) {
        let squares = gradient.chunks_exact_mut(tokens).zip(weights.chunks_exact(tokens));
        for ((g, w), kept) in squares.zip(kept.chunks_exact(tokens)) {
            let mean = sum_of([&*g, kept], |[g, kept]| g * kept);
            for ((g, w), kept) in g.iter_mut().zip(w).zip(kept) {
                *g = *g * kept - mean * w;
            }
        }
    }
}
