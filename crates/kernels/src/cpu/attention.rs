//! Multi-head attention, one sequence and head at a time, without keeping the weights.
//!
//! The forward pass keeps the logarithm of each softmax denominator, and the backward pass computes
//! the weights again from it (as FlashAttention does, Dao et al. 2022): a head's square of weights
//! stays in the cache and never goes to memory, which costs one more small product and saves `heads
//! * len` numbers a token.

use std::ops::Range;

use rayon::prelude::*;

use super::dropout::Mask;
use super::matmul::multiply;
use super::matrix::{Matrix, MatrixMut, Output, Threads};
use super::parts::unwritten;
use super::softmax::exponentials;
use super::vectors::{exp, sum_of, vectorised};
use crate::rows::Rows;
use crate::visibility::Visibility;

/// The shape of a batch.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Heads; they split the width evenly.
    pub heads: usize,
    /// Query rows.
    pub queries: Rows,
    /// Key rows: all tokens of each sequence.
    pub keys: Rows,
    /// Which keys of its sequence a query sees.
    pub visibility: Visibility,
    /// Which weights are dropped.
    pub mask: Option<Mask>,
}

/// Query rows of a block, where queries see only some of the keys.
const BLOCK: usize = 64;

/// Consecutive queries of a sequence and the keys that one of them sees, all as rows of the
/// sequence.
struct Block {
    queries: Range<usize>,
    keys: Range<usize>,
    /// The keys of each query, counted from the first of `keys`; empty where each sees all.
    visible: Vec<Range<usize>>,
}

impl Heads {
    /// The blocks of sequence `b`, which hold each of its queries once; a single one where queries
    /// see every key.
    fn blocks(&self, b: usize) -> Vec<Block> {
        let positions = &self.queries.positions()[self.queries.range(b)];
        let keys = self.keys.range(b).len();
        if positions.is_empty() {
            return Vec::new();
        }
        if self.visibility.is_everything() {
            return vec![Block { queries: 0..positions.len(), keys: 0..keys, visible: Vec::new() }];
        }

        let block = |(i, positions): (usize, &[u32])| {
            let visible: Vec<Range<usize>> =
                positions.iter().map(|query| self.visibility.of(b, *query, keys)).collect();
            let start = visible.iter().map(|range| range.start).min().unwrap_or(0);
            let end = visible.iter().map(|range| range.end).max().unwrap_or(0);
            let within = |range: Range<usize>| range.start - start..range.end - start;
            Block {
                queries: i * BLOCK..i * BLOCK + positions.len(),
                keys: start..end,
                visible: visible.into_iter().map(within).collect(),
            }
        };
        positions.chunks(BLOCK).enumerate().map(block).collect()
    }

    /// What `block` of sequence `b` needs besides its numbers.
    fn view<'a>(&'a self, b: usize, block: &'a Block) -> View<'a> {
        let first = self.queries.range(b).start;
        let rows = first + block.queries.start..first + block.queries.end;
        let positions = &self.queries.positions()[rows];
        let first_key = block.keys.start as u32;
        let drop =
            self.mask.as_ref().map(|mask| Drop { mask, key: mask.keys[b], positions, first_key });
        View { visible: &block.visible, drop }
    }
}

/// What a block of scores is read with.
#[derive(Clone, Copy)]
struct View<'a> {
    /// The keys of each query; empty where each sees all.
    visible: &'a [Range<usize>],
    drop: Option<Drop<'a>>,
}

/// Dropout of the weights of a block.
#[derive(Clone, Copy)]
struct Drop<'a> {
    mask: &'a Mask,
    key: u64,
    /// The positions of the queries.
    positions: &'a [u32],
    /// The position of the first key.
    first_key: u32,
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
    fn of_block(index: usize, heads: usize, d: usize, block: &Block) -> Self {
        Self { index, heads, d, queries: block.queries.len(), keys: block.keys.len() }
    }

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
        for block in shape.blocks(b) {
            let view = shape.view(b, &block);
            let (rows, keys) = (rows_of(&block.queries, d), rows_of(&block.keys, 2 * d));
            let logs = &mut logs[rows_of(&block.queries, heads)];
            let (queries, packed) = (&queries[rows.clone()], &packed[keys]);
            scores.resize(block.queries.len() * block.keys.len(), 0.0);
            for index in 0..heads {
                let head = Head::of_block(index, heads, d, &block);
                head_forward(head, queries, packed, scores, logs, &mut out[rows.clone()], view);
            }
        }
    });
    (out, logs)
}

/// The elements of `rows` of `width` elements.
fn rows_of(rows: &Range<usize>, width: usize) -> Range<usize> {
    rows.start * width..rows.end * width
}

/// The output of one head of a block, and the logarithms of its denominators; `scores` is scratch.
fn head_forward(
    head: Head,
    queries: &[f32],
    packed: &[f32],
    scores: &mut [f32],
    logs: &mut [f32],
    out: &mut [f32],
    view: View<'_>,
) {
    let (q, k, v) =
        (head.of_queries(queries), head.of_packed(packed, 0), head.of_packed(packed, 1));
    product(MatrixMut::new(scores, head.keys), q, k.transposed(), 1.0, Output::Replace);
    weigh(scores, head, logs, view);
    product(head.queries_mut(out), head.square(scores), v, 1.0, Output::Replace);
}

/// A product by the calling thread.
fn product(out: MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>, factor: f32, output: Output) {
    multiply(out, a, b, factor, output, Threads::One);
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
        let (queries, gradient) =
            (part(queries, &shape.queries, b, d), part(gradient, &shape.queries, b, d));
        let (packed, logs) =
            (part(packed, &shape.keys, b, 2 * d), part(logs, &shape.queries, b, heads));
        let blocks = shape.blocks(b);
        // A single block with all keys writes each gradient once.
        let output = if blocks.len() == 1 && blocks[0].keys.len() == shape.keys.range(b).len() {
            Output::Replace
        } else {
            dkv.fill(0.0);
            Output::Add
        };
        for block in &blocks {
            let (rows, keys) = (rows_of(&block.queries, d), rows_of(&block.keys, 2 * d));
            let passed = Passed {
                queries: &queries[rows.clone()],
                packed: &packed[keys.clone()],
                logs: &logs[rows_of(&block.queries, heads)],
                gradient: &gradient[rows.clone()],
                view: shape.view(b, block),
            };
            scratch.resize(block.queries.len() * block.keys.len());
            for index in 0..heads {
                let head = Head::of_block(index, heads, d, block);
                let (dq, dkv) = (&mut dq[rows.clone()], &mut dkv[keys.clone()]);
                head_backward(head, passed, scratch, dq, dkv, output);
            }
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

/// What the forward pass of a block took and gave, and the gradient of its output.
#[derive(Clone, Copy)]
struct Passed<'a> {
    queries: &'a [f32],
    packed: &'a [f32],
    logs: &'a [f32],
    gradient: &'a [f32],
    view: View<'a>,
}

/// The gradients of the queries, which replace `dq`, and of the keys and values of one head of a
/// block.
fn head_backward(
    head: Head,
    passed: Passed<'_>,
    scratch: &mut Scratch,
    dq: &mut [f32],
    dkv: &mut [f32],
    output: Output,
) {
    let Passed { queries, packed, logs, gradient, view } = passed;
    let Scratch { weights, dropped, scores } = scratch;
    let (q, k, v) =
        (head.of_queries(queries), head.of_packed(packed, 0), head.of_packed(packed, 1));
    let upper = head.of_queries(gradient);
    product(MatrixMut::new(weights, head.keys), q, k.transposed(), 1.0, Output::Replace);
    weigh_again(weights, dropped, head, logs, view);
    let kept: &[f32] = if view.drop.is_some() { dropped } else { weights };
    product(head.packed_mut(dkv, 1), head.square(kept).transposed(), upper, 1.0, output);

    product(MatrixMut::new(scores, head.keys), upper, v.transposed(), 1.0, Output::Replace);
    score_gradients(scores, weights, kept, head.keys);
    let (square, scale) = (head.square(scores), head.scale());
    product(head.queries_mut(dq), square, k, scale, Output::Replace);
    product(head.packed_mut(dkv, 0), square.transposed(), q, scale, output);
}

/// Cuts a row of scores at the keys that its query sees, and hides the others.
#[inline(always)]
fn visible_part<'a>(row: &'a mut [f32], query: usize, view: &View<'_>) -> (&'a mut [f32], u32) {
    let Some(range) = view.visible.get(query) else { return (row, 0) };
    row[..range.start].fill(0.0);
    row[range.end..].fill(0.0);
    (&mut row[range.clone()], range.start as u32)
}

vectorised! {
    /// Scores become dropped-out weights; the logarithms of the denominators go to `logs`,
    /// `[queries, heads]`.
    fn weigh<'a>(scores: &mut [f32], head: Head, logs: &mut [f32], view: View<'a>) {
        let scale = head.scale();
        for (query, row) in scores.chunks_exact_mut(head.keys).enumerate() {
            let (row, first) = visible_part(row, query, &view);
            let (sum, most) = exponentials(row, scale);
            logs[query * head.heads + head.index] = most * scale + sum.ln();
            let part = 1.0 / sum;
            match view.drop {
                Some(Drop { mask, key, positions, first_key }) => {
                    let start = weight_index(head.index, positions[query]).wrapping_add(first_key + first);
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
        view: View<'a>,
    ) {
        let scale = head.scale();
        let rows = scores.chunks_exact_mut(head.keys).zip(dropped.chunks_exact_mut(head.keys));
        for (query, (row, dropped)) in rows.enumerate() {
            let log = logs[query * head.heads + head.index];
            let (row, first) = visible_part(row, query, &view);
            match view.drop {
                Some(Drop { mask, key, positions, first_key }) => {
                    let (dropped, _) = visible_part(dropped, query, &view);
                    let start = weight_index(head.index, positions[query]).wrapping_add(first_key + first);
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
