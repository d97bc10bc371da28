//! Rotation of pairs of elements by angles that grow with the position.

use std::sync::Arc;

use rayon::prelude::*;

use super::parts::rows_of_a_task;
use super::vectors::vectorised;

/// Cosines and sines of the angles of rotary position embeddings (Su et al. 2021, section 3.2.2)
/// for heads of one width. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotary(Arc<Angles>);

#[derive(Debug, PartialEq)]
struct Angles {
    /// Half of the width of a head.
    half: usize,
    /// `[positions, half]`
    cosines: Vec<f32>,
    /// `[positions, half]`
    sines: Vec<f32>,
}

/// Which way to turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// By the angle.
    Forward,
    /// By the negative angle, as gradients are.
    Back,
}

impl Rotary {
    /// The angles `position * base^(-2 i / width)` of the pairs `i` of a head of `width` elements,
    /// for positions below `positions`. They are rounded to single precision before their cosines
    /// are taken, as in transformers.
    ///
    /// # Panics
    /// When `width` is odd.
    pub fn new(width: usize, positions: usize, base: f64) -> Self {
        assert!(width.is_multiple_of(2), "heads of {width} elements have no pairs");
        let half = width / 2;
        let frequency = |i: usize| 1.0 / (base as f32).powf(2.0 * i as f32 / width as f32);
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        let angles = (0..positions)
            .flat_map(|position| frequencies.iter().map(move |f| f64::from(position as f32 * f)));
        let (cosines, sines) = angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip();
        Self(Arc::new(Angles { half, cosines, sines }))
    }

    /// The number of positions that have angles.
    pub fn positions(&self) -> usize {
        self.0.cosines.len() / self.0.half
    }

    /// Half of the width of a head.
    pub fn half(&self) -> usize {
        self.0.half
    }

    /// The cosines and the sines of a position, `[half]` each.
    ///
    /// # Panics
    /// When the position has none.
    pub fn of(&self, position: u32) -> (&[f32], &[f32]) {
        let Angles { half, cosines, sines } = &*self.0;
        let range = position as usize * half..(position as usize + 1) * half;
        (&cosines[range.clone()], &sines[range])
    }
}

/// Rotates the first `columns` elements of rows of `stride` elements, which are heads one after
/// another; the row `i` stands at `positions[i]`. Element j of a head makes a pair with element
/// `half + j`.
pub fn rotate(
    x: &mut [f32],
    stride: usize,
    columns: usize,
    positions: &[u32],
    rotary: &Rotary,
    turn: Turn,
) {
    let task = rows_of_a_task(stride);
    let parts = x.par_chunks_mut(task * stride).zip(positions.par_chunks(task));
    parts.for_each(|(rows, positions)| {
        for (row, position) in rows.chunks_exact_mut(stride).zip(positions) {
            let (cosines, sines) = rotary.of(*position);
            rotate_row(&mut row[..columns], cosines, sines, turn);
        }
    });
}

vectorised! {
    fn rotate_row(row: &mut [f32], cosines: &[f32], sines: &[f32], turn: Turn) {
        let half = cosines.len();
        let sign = if turn == Turn::Forward { 1.0 } else { -1.0 };
        for head in row.chunks_exact_mut(2 * half) {
            let (first, second) = head.split_at_mut(half);
            for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                let (x, y, sine) = (*a, *b, sign * sine);
                *a = x * cosine - y * sine;
                *b = y * cosine + x * sine;
            }
        }
    }
}
