//! The sum of token, segment and position embeddings.

use rayon::prelude::*;

use super::parts::{rows_of_a_task, unwritten};
use super::vectors::{add, vectorised};

/// Which rows of the tables are summed.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Token ids, `[batch * len]`.
    pub tokens: Vec<u32>,
    /// Segment ids, `[batch * len]`; empty when every segment is 0.
    pub segments: Vec<u32>,
    /// Tokens of a sequence.
    pub len: usize,
    /// The row of the position table for the first token.
    pub offset: usize,
}

impl Lookup {
    fn segment(&self, row: usize) -> usize {
        self.segments.get(row).map_or(0, |id| *id as usize)
    }

    fn position(&self, row: usize) -> usize {
        self.offset + row % self.len
    }
}

fn row(table: &[f32], index: usize, width: usize) -> &[f32] {
    &table[index * width..(index + 1) * width]
}

fn row_mut(table: &mut [f32], index: usize, width: usize) -> &mut [f32] {
    &mut table[index * width..(index + 1) * width]
}

/// `[batch * len, width]`
pub fn forward(tokens: &[f32], segments: &[f32], positions: &[f32], width: usize, lookup: &Lookup) -> Vec<f32> {
    let task = rows_of_a_task(width);
    let mut out = unwritten(lookup.tokens.len() * width);
    out.par_chunks_mut(task * width).enumerate().for_each(|(i, part)| {
        for (r, out) in (i * task..).zip(part.chunks_exact_mut(width)) {
            let token = row(tokens, lookup.tokens[r] as usize, width);
            sum(out, token, row(segments, lookup.segment(r), width), row(positions, lookup.position(r), width));
        }
    });
    out
}

/// The gradients of the three tables, of `rows` rows each. Rows are added in their order, by one thread for each table.
pub fn backward(gradient: &[f32], rows: [usize; 3], width: usize, lookup: &Lookup) -> [Vec<f32>; 3] {
    let scatter = |rows: usize, index: &(dyn Fn(usize) -> usize + Sync)| {
        let mut table = vec![0.0; rows * width];
        for (r, gradient) in gradient.chunks_exact(width).enumerate() {
            add_to(row_mut(&mut table, index(r), width), gradient);
        }
        table
    };
    let (tokens, (segments, positions)) = rayon::join(
        || scatter(rows[0], &|r| lookup.tokens[r] as usize),
        || rayon::join(|| scatter(rows[1], &|r| lookup.segment(r)), || scatter(rows[2], &|r| lookup.position(r))),
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
