//! Multi-head attention, one sequence and head at a time, without keeping the weights.
//!
//! The forward pass keeps the logarithm of each softmax denominator, and the backward pass computes
//! the weights again from it (as FlashAttention does, Dao et al. 2022): a head's square of weights
//! stays in the cache and never goes to memory, which costs one more small product and saves `heads
//! * len` numbers a token.

use rayon::prelude::*;

use super::dropout::Mask;
use super::matmul::multiply;
use super::matrix::{Matrix, MatrixMut, Output, Threads};
use super::parts::unwritten;
use super::softmax::exponentials;
use super::vectors::{exp, sum_of, vectorised};
use crate::rows::Rows;

/// The shape of a batch.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Heads; they split the width evenly.
    pub heads: usize,
    /// Query rows.
    pub queries: Rows,
    /// Key rows: a query sees those of its own sequence.
    pub keys: Rows,
    /// Which weights are dropped.
    pub mask: Option<Mask>,
}

impl Heads {
    /// The mask of sequence `b` with its key and the positions of its queries.
    fn drop(&self, b: usize) -> Option<Drop<'_>> {
        let positions = &self.queries.positions()[self.queries.range(b)];
        self.mask.as_ref().map(|mask| Drop { mask, key: mask.keys[b], positions })
    }
}

/// Dropout of the weights of one sequence.
#[derive(Clone, Copy)]
struct Drop<'a> {
    mask: &'a Mask,
    key: u64,
    positions: &'a [u32],
}

/// Number of the weight (head, query, 0) within its sequence. Fixed strides, so that it does not
/// depend on the padding.
#[inline(always)]
pub fn weight_index(head: usize, query: u32) -> u32 {
    ((head as u32) << 24).wrapping_add(query << 12)
}

/// One head of one sequence of a batch of width `d`.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub index: usize,
    pub heads: usize,
    pub d: usize,
    pub queries: usize,
    pub keys: usize,
}

impl Head {
    fn width(&self) -> usize {
        self.d / self.heads
    }

    /// The columns of this head in the queries of its sequence, `[queries, d]`.
    pub fn of_queries<'a>(&self, rows: &'a [f32]) -> Matrix<'a> {
        Matrix::strided(&rows[self.index * self.width()..], self.queries, self.width(), self.d)
    }

    /// The columns of this head in the keys (0) or values (1) of its sequence, packed `[keys, 2 *
    /// d]`.
    pub fn of_packed<'a>(&self, packed: &'a [f32], which: usize) -> Matrix<'a> {
        let start = which * self.d + self.index * self.width();
        Matrix::strided(&packed[start..], self.keys, self.width(), 2 * self.d)
    }

    pub fn queries_mut<'a>(&self, rows: &'a mut [f32]) -> MatrixMut<'a> {
        MatrixMut::strided(&mut rows[self.index * self.width()..], self.d)
    }

    pub fn packed_mut<'a>(&self, packed: &'a mut [f32], which: usize) -> MatrixMut<'a> {
        MatrixMut::strided(&mut packed[which * self.d + self.index * self.width()..], 2 * self.d)
    }

    pub fn square<'a>(&self, weights: &'a [f32]) -> Matrix<'a> {
        Matrix::new(weights, self.queries, self.keys)
    }

    pub fn scale(&self) -> f32 {
        1.0 / (self.width() as f32).sqrt()
    }
}

/// Cuts `rows` of `width` elements at the sequences.
pub(super) fn split<'a>(
    mut values: &'a mut [f32],
    rows: &Rows,
    width: usize,
) -> Vec<&'a mut [f32]> {
    let cut = |b| {
        let (part, rest) = std::mem::take(&mut values).split_at_mut(rows.range(b).len() * width);
        values = rest;
        part
    };
    (0..rows.batch()).map(cut).collect()
}

/// The elements of the rows of sequence `b`.
pub(super) fn part<'a>(values: &'a [f32], rows: &Rows, b: usize, width: usize) -> &'a [f32] {
    let range = rows.range(b);
    &values[range.start * width..range.end * width]
}

/// `softmax(Q K^T / sqrt(width)) V` per head for queries `[queries, d]` and packed keys and values
/// `[keys, 2 * d]`, and the logarithms of the denominators, `[queries, heads]`.
pub fn forward(queries: &[f32], packed: &[f32], d: usize, shape: &Heads) -> (Vec<f32>, Vec<f32>) {
    let heads = shape.heads;
    let (mut out, mut logs) =
        (unwritten(shape.queries.len() * d), unwritten(shape.queries.len() * heads));
    let parts: Vec<_> = split(&mut out, &shape.queries, d)
        .into_iter()
        .zip(split(&mut logs, &shape.queries, heads))
        .collect();

    parts.into_par_iter().enumerate().for_each_init(Vec::new, |scores, (b, (out, logs))| {
        let queries = part(queries, &shape.queries, b, d);
        let packed = part(packed, &shape.keys, b, 2 * d);
        let (n_queries, n_keys) = (shape.queries.range(b).len(), shape.keys.range(b).len());
        if n_queries == 0 {
            return;
        }
        scores.resize(n_queries * n_keys, 0.0);
        for index in 0..heads {
            let head = Head { index, heads, d, queries: n_queries, keys: n_keys };
            head_forward(head, queries, packed, scores, logs, out, shape.drop(b));
        }
    });
    (out, logs)
}

/// The output of one head of a sequence and the logarithms of its denominators; `scores` is
/// scratch.
fn head_forward(
    head: Head,
    queries: &[f32],
    packed: &[f32],
    scores: &mut [f32],
    logs: &mut [f32],
    out: &mut [f32],
    drop: Option<Drop<'_>>,
) {
    let (q, k, v) =
        (head.of_queries(queries), head.of_packed(packed, 0), head.of_packed(packed, 1));
    product(MatrixMut::new(scores, head.keys), q, k.transposed(), 1.0);
    weigh(scores, head, logs, drop);
    product(head.queries_mut(out), head.square(scores), v, 1.0);
}

/// `out = factor * a b`, by the calling thread.
fn product(out: MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>, factor: f32) {
    multiply(out, a, b, factor, Output::Replace, Threads::One);
}

/// The gradients of the queries and of the packed keys and values.
pub fn backward(
    queries: &[f32],
    packed: &[f32],
    logs: &[f32],
    gradient: &[f32],
    d: usize,
    shape: &Heads,
) -> (Vec<f32>, Vec<f32>) {
    let heads = shape.heads;
    let (mut query_gradients, mut packed_gradients) =
        (unwritten(queries.len()), unwritten(packed.len()));
    let parts: Vec<_> = split(&mut query_gradients, &shape.queries, d)
        .into_iter()
        .zip(split(&mut packed_gradients, &shape.keys, 2 * d))
        .collect();

    let work = |scratch: &mut Scratch, (b, (dq, dkv)): (usize, (&mut [f32], &mut [f32]))| {
        let (n_queries, n_keys) = (shape.queries.range(b).len(), shape.keys.range(b).len());
        if n_queries == 0 {
            dkv.fill(0.0);
            return;
        }
        let passed = Passed {
            queries: part(queries, &shape.queries, b, d),
            packed: part(packed, &shape.keys, b, 2 * d),
            logs: part(logs, &shape.queries, b, heads),
            gradient: part(gradient, &shape.queries, b, d),
            drop: shape.drop(b),
        };
        scratch.resize(n_queries * n_keys);
        for index in 0..heads {
            let head = Head { index, heads, d, queries: n_queries, keys: n_keys };
            head_backward(head, passed, scratch, dq, dkv);
        }
    };
    parts.into_par_iter().enumerate().for_each_init(Scratch::default, work);
    (query_gradients, packed_gradients)
}

/// Squares of `[queries, keys]`.
#[derive(Default)]
struct Scratch {
    weights: Vec<f32>,
    dropped: Vec<f32>,
    scores: Vec<f32>,
}

impl Scratch {
    fn resize(&mut self, elements: usize) {
        for square in [&mut self.weights, &mut self.dropped, &mut self.scores] {
            square.resize(elements, 0.0);
        }
    }
}

/// What the forward pass of a sequence took and gave, and the gradient of its output.
#[derive(Clone, Copy)]
struct Passed<'a> {
    queries: &'a [f32],
    packed: &'a [f32],
    logs: &'a [f32],
    gradient: &'a [f32],
    drop: Option<Drop<'a>>,
}

/// The gradients of the queries, keys and values of one head of a sequence.
fn head_backward(
    head: Head,
    passed: Passed<'_>,
    scratch: &mut Scratch,
    dq: &mut [f32],
    dkv: &mut [f32],
) {
    let Passed { queries, packed, logs, gradient, drop } = passed;
    let Scratch { weights, dropped, scores } = scratch;
    let (q, k, v) =
        (head.of_queries(queries), head.of_packed(packed, 0), head.of_packed(packed, 1));
    let upper = head.of_queries(gradient);
    product(MatrixMut::new(weights, head.keys), q, k.transposed(), 1.0);
    weigh_again(weights, dropped, head, logs, drop);
    let kept: &[f32] = if drop.is_some() { dropped } else { weights };
    product(head.packed_mut(dkv, 1), head.square(kept).transposed(), upper, 1.0);

    product(MatrixMut::new(scores, head.keys), upper, v.transposed(), 1.0);
    score_gradients(scores, weights, kept, head.keys);
    let (square, scale) = (head.square(scores), head.scale());
    product(head.queries_mut(dq), square, k, scale);
    product(head.packed_mut(dkv, 0), square.transposed(), q, scale);
}

vectorised! {
    /// Scores become dropped-out weights; the logarithms of the denominators go to `logs`,
    /// `[queries, heads]`.
    fn weigh<'a>(scores: &mut [f32], head: Head, logs: &mut [f32], drop: Option<Drop<'a>>) {
        let scale = head.scale();
        for (query, row) in scores.chunks_exact_mut(head.keys).enumerate() {
            let (sum, most) = exponentials(row, scale);
            logs[query * head.heads + head.index] = most * scale + sum.ln();
            let part = 1.0 / sum;
            match drop {
                Some(Drop { mask, key, positions }) => {
                    let start = weight_index(head.index, positions[query]);
                    for (x, i) in row.iter_mut().zip(0u32..) {
                        *x = *x * part * mask.factor(key, start.wrapping_add(i));
                    }
                }
                None => row.iter_mut().for_each(|x| *x *= part),
            }
        }
    }

    /// Scores become weights, given the logarithms of the denominators; `dropped` holds them after
    /// dropout.
    fn weigh_again<'a>(
        scores: &mut [f32],
        dropped: &mut [f32],
        head: Head,
        logs: &[f32],
        drop: Option<Drop<'a>>,
    ) {
        let scale = head.scale();
        let rows = scores.chunks_exact_mut(head.keys).zip(dropped.chunks_exact_mut(head.keys));
        for (query, (row, dropped)) in rows.enumerate() {
            let log = logs[query * head.heads + head.index];
            match drop {
                Some(Drop { mask, key, positions }) => {
                    let start = weight_index(head.index, positions[query]);
                    for ((x, dropped), i) in row.iter_mut().zip(dropped).zip(0u32..) {
                        *x = exp(*x * scale - log);
                        *dropped = *x * mask.factor(key, start.wrapping_add(i));
                    }
                }
                None => row.iter_mut().for_each(|x| *x = exp(*x * scale - log)),
            }
        }
    }

    /// With W the weights, M their mask and G the gradient of W M, in `gradient`: the gradient of
    /// the scores is W (G M - sum(G M W)), and W M is at hand in `kept`.
    fn score_gradients(gradient: &mut [f32], weights: &[f32], kept: &[f32], keys: usize) {
        let squares = gradient.chunks_exact_mut(keys).zip(weights.chunks_exact(keys));
        for ((g, w), kept) in squares.zip(kept.chunks_exact(keys)) {
            let mean = sum_of([&*g, kept], |[g, kept]| g * kept);
            for ((g, w), kept) in g.iter_mut().zip(w).zip(kept) {
                *g = *g * kept - mean * w;
            }
        }
    }
}
