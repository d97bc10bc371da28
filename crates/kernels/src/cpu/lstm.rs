//! A long short-term memory over sequences of any length, all sequences of a batch one step at a
//! time.

use super::matmul::multiply;
use super::matrix::{Matrix, MatrixMut, Output, Threads};
use super::parts::unwritten;
use super::vectors::{exp, tanh, vectorised};
use crate::rows::Rows;

/// Which end of a sequence is read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The first token.
    Forward,
    /// The last token.
    Backward,
}

/// What a forward pass leaves for the backward pass.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The hidden state after each row, `[rows, width]`.
    pub hidden: Vec<f32>,
    /// Input, forget, candidate and output gates of each row, `[rows, 4 * width]`.
    pub gates: Vec<f32>,
    /// The cell after each row, `[rows, width]`.
    pub cells: Vec<f32>,
}

/// The rows that each step reads: sequences by falling length, so that those still running are the
/// first ones.
struct Steps<'a> {
    rows: &'a Rows,
    order: Vec<usize>,
    direction: Direction,
}

impl<'a> Steps<'a> {
    fn new(rows: &'a Rows, direction: Direction) -> Self {
        let mut order: Vec<usize> = (0..rows.batch()).collect();
        order.sort_by_key(|sequence| std::cmp::Reverse(rows.range(*sequence).len()));
        Self { rows, order, direction }
    }

    fn count(&self) -> usize {
        self.order.first().map_or(0, |sequence| self.rows.range(*sequence).len())
    }

    /// The rows read in step `step`, and for each the row read before it, which is none in step 0.
    fn of(&self, step: usize) -> impl Iterator<Item = (usize, Option<usize>)> + '_ {
        let ranges = self.order.iter().map(|sequence| self.rows.range(*sequence));
        ranges.take_while(move |range| range.len() > step).map(move |range| {
            let row = |step: usize| match self.direction {
                Direction::Forward => range.start + step,
                Direction::Backward => range.end - 1 - step,
            };
            (row(step), step.checked_sub(1).map(row))
        })
    }
}

/// Hidden states for `inputs: [rows, 4 * width]`, what each token adds to the gates (input, forget,
/// candidate, output), and the weights `recurrent: [width, 4 * width]` of the hidden state before
/// it. Everything is 0 before the first token.
pub fn forward(
    inputs: &[f32],
    recurrent: &[f32],
    width: usize,
    rows: &Rows,
    direction: Direction,
) -> Trace {
    let (n, wide) = (rows.len(), 4 * width);
    let (hidden, gates, cells) = (unwritten(n * width), unwritten(n * wide), unwritten(n * width));
    let mut trace = Trace { hidden, gates, cells };
    let steps = Steps::new(rows, direction);
    let (mut states, mut sums) = (vec![0.0; rows.batch() * width], vec![0.0; rows.batch() * wide]);
    let nothing = vec![0.0; width];

    for step in 0..steps.count() {
        let mut active = 0;
        for (row, _) in steps.of(step) {
            sums[active * wide..(active + 1) * wide]
                .copy_from_slice(&inputs[row * wide..(row + 1) * wide]);
            active += 1;
        }

        if step > 0 {
            let states = Matrix::new(&states[..active * width], active, width);
            let out = MatrixMut::new(&mut sums[..active * wide], wide);
            let recurrent = Matrix::new(recurrent, width, wide);
            multiply(out, states, recurrent, 1.0, Output::Add, Threads::Pool);
        }

        for (i, (row, before)) in steps.of(step).enumerate() {
            let gates = &mut trace.gates[row * wide..(row + 1) * wide];
            gates.copy_from_slice(&sums[i * wide..(i + 1) * wide]);
            let state = &mut states[i * width..(i + 1) * width];
            state.copy_from_slice(
                before.map_or(&nothing, |row| &trace.cells[row * width..(row + 1) * width]),
            );
            remember(gates, state, &mut trace.cells[row * width..(row + 1) * width]);
            trace.hidden[row * width..(row + 1) * width].copy_from_slice(state);
        }
    }

    trace
}

/// The gradients of the inputs and of the recurrent weights, given that of the hidden states.
pub fn backward(
    trace: &Trace,
    recurrent: &[f32],
    gradient: &[f32],
    width: usize,
    rows: &Rows,
    direction: Direction,
) -> (Vec<f32>, Vec<f32>) {
    let (n, wide) = (rows.len(), 4 * width);
    let steps = Steps::new(rows, direction);
    let (mut inputs, mut before_all) = (unwritten(n * wide), vec![0.0; n * width]);
    let mut carried = [vec![0.0; rows.batch() * width], vec![0.0; rows.batch() * width]];
    let mut sums = vec![0.0; rows.batch() * wide];
    let nothing = vec![0.0; width];

    for step in (0..steps.count()).rev() {
        let [hidden, cells] = &mut carried;
        let mut active = 0;
        for (row, before) in steps.of(step) {
            let upper = &gradient[row * width..(row + 1) * width];
            let hidden = &mut hidden[active * width..(active + 1) * width];
            hidden.iter_mut().zip(upper).for_each(|(hidden, upper)| *hidden += upper);
            let cell_before =
                before.map_or(&nothing[..], |row| &trace.cells[row * width..(row + 1) * width]);
            let kept = [
                &trace.gates[row * wide..(row + 1) * wide],
                &trace.cells[row * width..][..width],
                cell_before,
            ];
            let sums = &mut sums[active * wide..(active + 1) * wide];
            forget(kept, hidden, &mut cells[active * width..(active + 1) * width], sums);
            inputs[row * wide..(row + 1) * wide].copy_from_slice(sums);
            if let Some(before) = before {
                let hidden = &trace.hidden[before * width..(before + 1) * width];
                before_all[row * width..(row + 1) * width].copy_from_slice(hidden);
            }
            active += 1;
        }

        let out = MatrixMut::new(&mut hidden[..active * width], width);
        let sums = Matrix::new(&sums[..active * wide], active, wide);
        let recurrent = Matrix::new(recurrent, width, wide).transposed();
        multiply(out, sums, recurrent, 1.0, Output::Replace, Threads::Pool);
    }

    let mut weights = unwritten(width * wide);
    let before_all = Matrix::new(&before_all, n, width).transposed();
    let out = MatrixMut::new(&mut weights, wide);
    multiply(out, before_all, Matrix::new(&inputs, n, wide), 1.0, Output::Replace, Threads::Pool);
    (inputs, weights)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

vectorised! {
    /// Sums become gates; the cell before, in `state`, becomes the hidden state.
    fn remember(gates: &mut [f32], state: &mut [f32], cell: &mut [f32]) {
        let width = state.len();
        let (input, rest) = gates.split_at_mut(width);
        let (keep, rest) = rest.split_at_mut(width);
        let (candidate, output) = rest.split_at_mut(width);
        let gates = input.iter_mut().zip(keep).zip(candidate).zip(output);
        for ((state, cell), (((i, f), c), o)) in state.iter_mut().zip(cell).zip(gates) {
            (*i, *f, *c, *o) = (sigmoid(*i), sigmoid(*f), tanh(*c), sigmoid(*o));
            *cell = *f * *state + *i * *c;
            *state = *o * tanh(*cell);
        }
    }

    /// Given gates, cell and the cell before of a row and the gradients of its hidden state and
    /// cell: the gradients of the gates' sums, and that of the cell before, which takes the place
    /// of the cell's.
    fn forget<'a>(kept: [&'a [f32]; 3], hidden: &[f32], cell_gradient: &mut [f32], sums: &mut [f32]) {
        let width = hidden.len();
        let [gates, cell, before] = kept;
        for j in 0..width {
            let (i, f, c, o) = (gates[j], gates[width + j], gates[2 * width + j], gates[3 * width + j]);
            let t = tanh(cell[j]);
            let d = hidden[j] * o * (1.0 - t * t) + cell_gradient[j];
            sums[j] = d * c * i * (1.0 - i);
            sums[width + j] = d * before[j] * f * (1.0 - f);
            sums[2 * width + j] = d * i * (1.0 - c * c);
            sums[3 * width + j] = hidden[j] * t * o * (1.0 - o);
            cell_gradient[j] = d * f;
        }
    }
}
