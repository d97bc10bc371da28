//! How far the predictions of one output layer are from another's, without ever holding all logits.

use rayon::prelude::*;

use super::matrix::Output;
use super::parts::{rows_of_a_part, total, unwritten};
use super::softmax::exponentials;
use super::vectors::{add, sum_of, vectorised};
use super::vocabulary::{Gradients, Layer};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// `T^2 KL(softmax(z / T) || softmax(y / T))` of the known logits z and the learnt logits y.
    Divergence {
        /// T, above 0.
        temperature: f32,
    },
    /// The sum of `(y - z)^2`.
    Squares,
}

/// The sum over rows, and its gradients with respect to the layer that learns. Both layers have as
/// many rows, and the same vocabulary.
pub fn distance_and_gradients(
    learning: Layer<'_>,
    known: Layer<'_>,
    measure: Measure,
) -> (f32, Gradients) {
    let vocabulary = learning.vocabulary();
    let mut gradients = Gradients::of(learning);
    let (mut loss, mut output) = (0.0f64, Output::Replace);
    // Logits of both are held.
    let rows = (learning.rows() / 2).max(16);
    let n = learning.hidden.len() / learning.width;
    let (mut logits, mut targets) =
        (unwritten(rows.min(n) * vocabulary), unwritten(rows.min(n) * vocabulary));
    let chunks =
        learning.hidden.chunks(rows * learning.width).zip(known.hidden.chunks(rows * known.width));

    for (i, (hidden, known_hidden)) in chunks.enumerate() {
        let n = hidden.len() / learning.width;
        let (logits, targets) = (&mut logits[..n * vocabulary], &mut targets[..n * vocabulary]);
        learning.products(hidden, logits);
        known.products(known_hidden, targets);

        let part = rows_of_a_part(n) * vocabulary;
        let work = |(logits, targets): (&mut [f32], &mut [f32])| {
            let (mut loss, mut sums) = (0.0f64, vec![0.0; vocabulary]);
            let mut difference = vec![0.0; vocabulary];
            for (row, target) in
                logits.chunks_exact_mut(vocabulary).zip(targets.chunks_exact_mut(vocabulary))
            {
                loss += f64::from(match measure {
                    Measure::Divergence { temperature } => {
                        let biases = [learning.bias, known.bias];
                        diverge(row, target, biases, 1.0 / temperature, &mut difference, &mut sums)
                    }
                    Measure::Squares => square(row, target, [learning.bias, known.bias], &mut sums),
                });
            }
            (loss, [sums])
        };

        let parts: Vec<_> =
            logits.par_chunks_mut(part).zip(targets.par_chunks_mut(part)).map(work).collect();

        let (partial_losses, partial_sums): (Vec<f64>, Vec<_>) = parts.into_iter().unzip();
        loss += partial_losses.iter().sum::<f64>();
        let [bias] = total(partial_sums, vocabulary);
        add(&mut gradients.bias, &bias);
        gradients.take_back(learning, i * rows, hidden, logits, output);
        output = Output::Add;
    }

    (loss as f32, gradients)
}

vectorised! {
    /// The divergence of a row, given the inverse temperature. The row becomes its gradient, which
    /// is also added to `sums`; the target is overwritten.
    fn diverge<'a>(
        row: &mut [f32],
        target: &mut [f32],
        biases: [&'a [f32]; 2],
        cold: f32,
        difference: &mut [f32],
        sums: &mut [f32],
    ) -> f32 {
        add(row, biases[0]);
        add(target, biases[1]);
        for ((difference, z), y) in difference.iter_mut().zip(&*target).zip(&*row) {
            *difference = z - y;
        }

        let (row_sum, row_most) = exponentials(row, cold);
        let (target_sum, target_most) = exponentials(target, cold);
        let mean = sum_of([&*target, &*difference], |[p, d]| p * d) / target_sum;
        let (part, target_part, heat) = (1.0 / row_sum, 1.0 / target_sum, 1.0 / cold);
        for ((y, z), total) in row.iter_mut().zip(&*target).zip(&mut *sums) {
            *y = (*y * part - z * target_part) * heat;
            *total += *y;
        }

        // KL = E_z[(z - y) / T] - log sum exp(z / T) + log sum exp(y / T)
        let logarithms = (row_sum / target_sum).ln();
        ((mean - (target_most - row_most)) * cold + logarithms) * heat * heat
    }

    /// The squared distance of a row; overwrites as [`diverge`] does.
    fn square<'a>(row: &mut [f32], target: &[f32], biases: [&'a [f32]; 2], sums: &mut [f32]) -> f32 {
        let shifts = biases[0].iter().zip(biases[1]);
        for ((y, z), (b, c)) in row.iter_mut().zip(target).zip(shifts) {
            *y = (*y + b) - (z + c);
        }
        let loss = sum_of([&*row], |[d]| d * d);
        for (y, total) in row.iter_mut().zip(&mut *sums) {
            *y *= 2.0;
            *total += *y;
        }
        loss
    }
}
