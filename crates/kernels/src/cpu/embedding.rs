//! The sum of token, segment and position embeddings.

use rayon::prelude::*;

use super::parts::{rows_of_a_task, unwritten};
use super::vectors::{add, vectorised};
use crate::rows::Rows;

/// Which rows of the tables are summed.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The token id of each row.
    pub tokens: Vec<u32>,
    /// The segment id of each row; empty when every segment is 0.
    pub segments: Vec<u32>,
    /// The rows.
    pub rows: Rows,
    /// The row of the position table for the first token of a sequence.
    pub offset: usize,
}

impl Lookup {
    fn segment(&self, row: usize) -> usize {
        self.segments.get(row).map_or(0, |id| *id as usize)
    }

    fn position(&self, row: usize) -> usize {
        self.offset + self.rows.positions()[row] as usize
    }
}

fn row(table: &[f32], index: usize, width: usize) -> &[f32] {
    &table[index * width..(index + 1) * width]
}

fn row_mut(table: &mut [f32], index: usize, width: usize) -> &mut [f32] {
    &mut table[index * width..(index + 1) * width]
}

/// `[rows, width]`
pub fn forward(
    tokens: &[f32],
    segments: &[f32],
    positions: &[f32],
    width: usize,
    lookup: &Lookup,
) -> Vec<f32> {
    let task = rows_of_a_task(width);
    let mut out = unwritten(lookup.tokens.len() * width);
    out.par_chunks_mut(task * width).enumerate().for_each(|(i, part)| {
        for (r, out) in (i * task..).zip(part.chunks_exact_mut(width)) {
            let token = row(tokens, lookup.tokens[r] as usize, width);
            sum(
                out,
                token,
                row(segments, lookup.segment(r), width),
                row(positions, lookup.position(r), width),
            );
        }
    });
    out
}

/// The rows `indices` of `x`, one after another.
pub fn gather(x: &[f32], indices: &[u32], width: usize) -> Vec<f32> {
    let task = rows_of_a_task(width);
    let mut out = unwritten(indices.len() * width);
    out.par_chunks_mut(task * width).zip(indices.par_chunks(task)).for_each(|(out, indices)| {
        for (out, index) in out.chunks_exact_mut(width).zip(indices) {
            out.copy_from_slice(row(x, *index as usize, width));
        }
    });
    out
}

/// `rows` rows of zeros, to which the rows of `gradient` are added at `indices`, in their order.
pub fn scatter(
    gradient: &[f32],
    indices: impl Iterator<Item = usize>,
    rows: usize,
    width: usize,
) -> Vec<f32> {
    let mut table = vec![0.0; rows * width];
    for (gradient, index) in gradient.chunks_exact(width).zip(indices) {
        add_to(row_mut(&mut table, index, width), gradient);
    }
    table
}

/// The gradients of the three tables, of `rows` rows each. Rows are added in their order, by one
/// thread for each table.
pub fn backward(
    gradient: &[f32],
    rows: [usize; 3],
    width: usize,
    lookup: &Lookup,
) -> [Vec<f32>; 3] {
    let all = 0..lookup.tokens.len();
    let ids = || lookup.tokens.iter().map(|id| *id as usize);
    let (tokens, (segments, positions)) = rayon::join(
        || scatter(gradient, ids(), rows[0], width),
        || {
            rayon::join(
                || scatter(gradient, all.clone().map(|r| lookup.segment(r)), rows[1], width),
                || scatter(gradient, all.clone().map(|r| lookup.position(r)), rows[2], width),
            )
        },
    );
    [tokens, segments, positions]
}

vectorised! {
    fn sum(out: &mut [f32], token: &[f32], segment: &[f32], position: &[f32]) {
        for (((out, token), segment), position) in out.iter_mut().zip(token).zip(segment).zip(position) {
            *out = token + segment + position;
        }
    }

    fn add_to(target: &mut [f32], source: &[f32]) {
        add(target, source);
    }
}
