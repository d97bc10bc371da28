//! Scores of attention before their softmax, one sequence and head at a time.

use rayon::prelude::*;

use super::attention::{Head, Heads, part, split};
use super::matmul::multiply;
use super::matrix::{MatrixMut, Output, Threads};
use super::parts::unwritten;

/// Number of scores of each sequence.
fn sizes(shape: &Heads) -> Vec<usize> {
    let size = |b| shape.heads * shape.queries.range(b).len() * shape.keys.range(b).len();
    (0..shape.keys.batch()).map(size).collect()
}

/// `values` cut into the scores of each sequence.
fn cut<'a>(mut values: &'a mut [f32], shape: &Heads) -> Vec<&'a mut [f32]> {
    let take = |size| {
        let (part, rest) = std::mem::take(&mut values).split_at_mut(size);
        values = rest;
        part
    };
    sizes(shape).into_iter().map(take).collect()
}

fn head(shape: &Heads, index: usize, b: usize, d: usize) -> Head {
    let (queries, keys) = (shape.queries.range(b).len(), shape.keys.range(b).len());
    Head { index, heads: shape.heads, d, queries, keys }
}

/// `Q K^T / sqrt(width)` of every head, for queries `[queries, d]` and packed keys and values
/// `[keys, 2 * d]`: sequence after sequence, in each `[heads, queries, keys]`.
pub fn forward(queries: &[f32], packed: &[f32], d: usize, shape: &Heads) -> Vec<f32> {
    let mut out = unwritten(sizes(shape).iter().sum());
    cut(&mut out, shape).into_par_iter().enumerate().for_each(|(b, out)| {
        let (queries, packed) =
            (part(queries, &shape.queries, b, d), part(packed, &shape.keys, b, 2 * d));
        let size = out.len() / shape.heads;
        for (index, square) in out.chunks_exact_mut(size.max(1)).enumerate() {
            let head = head(shape, index, b, d);
            let keys = head.of_packed(packed, 0).transposed();
            let square = MatrixMut::new(square, head.keys);
            multiply(
                square,
                head.of_queries(queries),
                keys,
                head.scale(),
                Output::Replace,
                Threads::One,
            );
        }
    });

    out
}

/// The gradients of the queries and of the packed keys and values, given that of the scores.
pub fn backward(
    queries: &[f32],
    packed: &[f32],
    gradient: &[f32],
    d: usize,
    shape: &Heads,
) -> (Vec<f32>, Vec<f32>) {
    let (mut query_gradients, mut packed_gradients) =
        (vec![0.0; queries.len()], vec![0.0; packed.len()]);
    let mut gradient = gradient;
    let upper: Vec<&[f32]> = sizes(shape)
        .into_iter()
        .map(|size| {
            let (part, rest) = gradient.split_at(size);
            gradient = rest;
            part
        })
        .collect();

    let outs = split(&mut query_gradients, &shape.queries, d).into_par_iter();
    let outs = outs.zip(split(&mut packed_gradients, &shape.keys, 2 * d)).zip(upper);
    outs.enumerate().for_each(|(b, ((dq, dkv), upper))| {
        let (queries, packed) =
            (part(queries, &shape.queries, b, d), part(packed, &shape.keys, b, 2 * d));
        let size = upper.len() / shape.heads;
        for (index, square) in upper.chunks_exact(size.max(1)).enumerate() {
            let head = head(shape, index, b, d);
            let (square, scale) = (head.square(square), head.scale());
            let keys = head.of_packed(packed, 0);
            multiply(head.queries_mut(dq), square, keys, scale, Output::Replace, Threads::One);
            let asking = head.of_queries(queries);
            multiply(
                head.packed_mut(dkv, 0),
                square.transposed(),
                asking,
                scale,
                Output::Replace,
                Threads::One,
            );
        }
    });

    (query_gradients, packed_gradients)
}
