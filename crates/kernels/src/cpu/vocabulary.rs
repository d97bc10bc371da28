//! The output layer over a vocabulary and its cross-entropy, without ever holding all logits.

use rayon::prelude::*;

use super::matrix::{Matrix, MatrixMut, Output};
use super::parts::{rows_of_a_part, total, unwritten};
use super::product::multiply;
use super::softmax::exponentials;
use super::vectors::{add, largest, ln, vectorised};
use crate::noise::draw;
use crate::precision::Precision;

/// Logits held at a time: 32 MB.
const CHUNK: usize = 1 << 23;

/// The output layer.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Hidden states of the predicted positions, `[n, width]`.
    pub hidden: &'a [f32],
    /// Token table, `[vocabulary, width]`.
    pub table: &'a [f32],
    /// `[vocabulary]`
    pub bias: &'a [f32],
    /// Length of a hidden state.
    pub width: usize,
    /// Of the products.
    pub precision: Precision,
}

/// What is to be predicted.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The right class of each row, `[n]`.
    pub labels: Vec<u32>,
    /// What each row counts; none: 1 each.
    pub weights: Option<Vec<f32>>,
    /// What `(log sum exp logits)^2` is multiplied by and added to a row's loss: the z-loss (Chowdhery
    /// et al. 2022, section 5), which keeps logits from drifting. GPT-BERT and PaLM: 1e-4.
    pub z_loss: f32,
}

impl Targets {
    /// Rows that count 1 each, without z-loss.
    pub fn new(labels: Vec<u32>) -> Self {
        Self { labels, weights: None, z_loss: 0.0 }
    }

    /// What row `row` counts.
    pub fn weight(&self, row: usize) -> f32 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row])
    }
}

/// Gradients of the weighted sum of losses.
#[derive(Clone, Debug)]
pub struct Gradients {
    pub hidden: Vec<f32>,
    pub table: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Gradients {
    /// Room for the gradients of `layer`.
    pub(super) fn of(layer: Layer<'_>) -> Self {
        let hidden = unwritten(layer.hidden.len());
        // The first chunk of rows writes it, if there is one.
        let table = if hidden.is_empty() {
            vec![0.0; layer.table.len()]
        } else {
            unwritten(layer.table.len())
        };
        Self { hidden, table, bias: vec![0.0; layer.vocabulary()] }
    }

    /// Takes the gradients of the logits of the rows `hidden`, of which `first` is the first, back
    /// through the products; that of the table is added to what stands there, or written.
    pub(super) fn take_back(
        &mut self,
        layer: Layer<'_>,
        first: usize,
        hidden: &[f32],
        logits: &[f32],
        output: Output,
    ) {
        let (vocabulary, width) = (layer.vocabulary(), layer.width);
        let n = hidden.len() / width;

        let logits = Matrix::new(logits, n, vocabulary);
        let table = Matrix::new(layer.table, vocabulary, width);
        let target = MatrixMut::new(&mut self.hidden[first * width..(first + n) * width], width);
        multiply(layer.precision, target, logits, table, Output::Replace);
        let target = MatrixMut::new(&mut self.table, width);
        multiply(
            layer.precision,
            target,
            logits.transposed(),
            Matrix::new(hidden, n, width),
            output,
        );
    }
}

impl Layer<'_> {
    pub(super) fn vocabulary(&self) -> usize {
        self.bias.len()
    }

    /// The logits of `hidden`, `[n, width]`, without their bias.
    pub(super) fn products(&self, hidden: &[f32], logits: &mut [f32]) {
        let table = Matrix::new(self.table, self.vocabulary(), self.width).transposed();
        let hidden = Matrix::new(hidden, hidden.len() / self.width, self.width);
        multiply(
            self.precision,
            MatrixMut::new(logits, self.vocabulary()),
            hidden,
            table,
            Output::Replace,
        );
    }

    /// Rows whose logits are held at a time.
    pub(super) fn rows(&self) -> usize {
        (CHUNK / self.vocabulary()).max(16)
    }

    /// Calls `f` with the first row, the hidden states and the logits of one chunk after another.
    fn chunks(&self, mut f: impl FnMut(usize, &[f32], &mut [f32])) {
        let (vocabulary, rows) = (self.vocabulary(), self.rows());
        let n = self.hidden.len() / self.width;
        let mut logits = unwritten(rows.min(n) * vocabulary);
        for (i, hidden) in self.hidden.chunks(rows * self.width).enumerate() {
            let n = hidden.len() / self.width;
            let logits = &mut logits[..n * vocabulary];
            self.products(hidden, logits);
            f(i * rows, hidden, logits);
        }
    }
}

/// For each row its loss in nats, the loss that its most probable class would have, and 1 where
/// that is the right one, else 0.
pub fn losses(layer: Layer<'_>, labels: &[u32]) -> [Vec<f32>; 3] {
    let vocabulary = layer.vocabulary();
    let mut scores = [const { Vec::new() }; 3];
    layer.chunks(|first, _, logits| {
        let one =
            |(i, row): (usize, &mut [f32])| score_row(row, layer.bias, labels[first + i] as usize);
        let found: Vec<[f32; 3]> = logits.par_chunks_mut(vocabulary).enumerate().map(one).collect();
        for (i, scores) in scores.iter_mut().enumerate() {
            scores.extend(found.iter().map(|row| row[i]));
        }
    });
    scores
}

/// How a token is drawn for each row from the softmax of its logits.
#[derive(Clone, Debug)]
pub struct Sampling {
    /// What determines each row's draw, `[n]`.
    pub keys: Vec<u64>,
    /// What logits are divided by. Below 1 sharpens, above 1 flattens.
    pub temperature: f32,
    /// A token for each row that is not drawn; none: all may be.
    pub except: Option<Vec<u32>>,
}

/// A token of each row.
pub fn sample(layer: Layer<'_>, sampling: &Sampling) -> Vec<u32> {
    let vocabulary = layer.vocabulary();
    let mut drawn = Vec::new();
    layer.chunks(|first, _, logits| {
        let one = |(i, row): (usize, &mut [f32])| {
            perturb_row(row, layer.bias, sampling.keys[first + i], 1.0 / sampling.temperature);
            if let Some(except) = &sampling.except {
                row[except[first + i] as usize] = f32::NEG_INFINITY;
            }
            let most = largest(row);
            row.iter().position(|x| *x >= most).unwrap_or(0) as u32
        };
        drawn.extend(logits.par_chunks_mut(vocabulary).enumerate().map(one).collect::<Vec<u32>>());
    });
    drawn
}

/// Gumbel noise for token `token` under `key`: `-ln(-ln u)`, where u is uniform on 2^23 points
/// inside (0, 1).
#[inline(always)]
pub fn gumbel(key: u64, token: u32) -> f32 {
    gumbel_of(draw(key, token))
}

/// The noise for the number `drawn`. Its upper 23 bits and a half are exact in 24; with one more
/// bit the largest would be rounded to 1.
#[inline(always)]
fn gumbel_of(drawn: u32) -> f32 {
    let u = ((drawn >> 9) as f32 + 0.5) * (1.0 / (1u32 << 23) as f32);
    -ln(-ln(u))
}

/// What is to be predicted in one row.
#[derive(Clone, Copy)]
struct Target {
    label: usize,
    weight: f32,
    z_loss: f32,
}

/// The weighted sum of the losses, for each row 1 where its most probable class is the right one, and
/// the gradients of the sum.
pub fn loss_and_gradients(layer: Layer<'_>, targets: &Targets) -> (f32, Vec<f32>, Gradients) {
    let (vocabulary, width) = (layer.vocabulary(), layer.width);
    let mut gradients = Gradients::of(layer);
    let (mut loss, mut hits) = (0.0f64, Vec::with_capacity(targets.labels.len()));
    let mut output = Output::Replace;

    layer.chunks(|first, hidden, logits| {
        let n = hidden.len() / width;
        let part = rows_of_a_part(n);
        let work = |(p, logits): (usize, &mut [f32])| {
            let (mut loss, mut hits, mut sums) = (0.0f64, Vec::new(), vec![0.0; vocabulary]);
            for (j, row) in logits.chunks_exact_mut(vocabulary).enumerate() {
                let flat = first + p * part + j;
                let (label, weight) = (targets.labels[flat] as usize, targets.weight(flat));
                let target = Target { label, weight, z_loss: targets.z_loss };
                let [of_row, hit] = differentiate_row(row, layer.bias, target, &mut sums);
                loss += f64::from(of_row);
                hits.push(hit);
            }
            ((loss, hits), [sums])
        };

        let parts: Vec<_> =
            logits.par_chunks_mut(part * vocabulary).enumerate().map(work).collect();

        let (of_parts, partial_sums): (Vec<(f64, Vec<f32>)>, Vec<_>) = parts.into_iter().unzip();
        loss += of_parts.iter().map(|(loss, _)| loss).sum::<f64>();
        hits.extend(of_parts.iter().flat_map(|(_, hits)| hits));
        let [bias] = total(partial_sums, vocabulary);
        add(&mut gradients.bias, &bias);
        gradients.take_back(layer, first, hidden, logits, output);
        output = Output::Add;
    });
    (loss as f32, hits, gradients)
}

vectorised! {
    /// Loss, lowest loss and hit of a row of logits without their bias; overwrites it.
    fn score_row(row: &mut [f32], bias: &[f32], label: usize) -> [f32; 3] {
        add(row, bias);
        let right = row[label];
        let hit = if right >= largest(row) { 1.0 } else { 0.0 };
        let (sum, most) = exponentials(row, 1.0);
        [sum.ln() + most - right, sum.ln(), hit]
    }

    /// A row of logits without their bias becomes `(logit + bias) * scale` and Gumbel noise.
    fn perturb_row(row: &mut [f32], bias: &[f32], key: u64, scale: f32) {
        for (token, (x, bias)) in row.iter_mut().zip(bias).enumerate() {
            *x = (*x + bias) * scale + gumbel(key, token as u32);
        }
    }

    /// The weighted loss and the hit of a row of logits without their bias. The row becomes its
    /// gradient, weight * ((1 + 2 z_loss ln Z) softmax - one-hot), which is also added to `sums`.
    fn differentiate_row(row: &mut [f32], bias: &[f32], target: Target, sums: &mut [f32]) -> [f32; 2] {
        let Target { label, weight, z_loss } = target;
        add(row, bias);
        let right = row[label];
        let (sum, most) = exponentials(row, 1.0);
        let log_sum = sum.ln() + most;
        let scale = weight * (1.0 + 2.0 * z_loss * log_sum) / sum;
        for (x, total) in row.iter_mut().zip(&mut *sums) {
            *x *= scale;
            *total += *x;
        }
        row[label] -= weight;
        sums[label] -= weight;
        let loss = weight * (log_sum - right + z_loss * log_sum * log_sum);
        [loss, if right >= most { 1.0 } else { 0.0 }]
    }
}

#[cfg(test)]
mod tests {
    use super::super::divergence::{Measure, distance_and_gradients};
    use super::*;

    #[test]
    fn noise_grows_with_the_number_that_was_drawn() {
        let noise = [0, 1 << 9, 1 << 31, u32::MAX - (1 << 9), u32::MAX].map(gumbel_of);
        assert!(noise.is_sorted_by(|a, b| a < b), "{noise:?}");
        assert!(noise[0] > -3.0 && (16.0..17.0).contains(&noise[4]), "{noise:?}");
    }

    #[test]
    fn no_rows_have_no_loss_and_gradients_of_zero() {
        let (table, bias) = ([1.0; 6], [0.5; 3]);
        let layer =
            Layer { hidden: &[], table: &table, bias: &bias, width: 2, precision: Precision::F32 };
        let (loss, _, gradients) = loss_and_gradients(layer, &Targets::new(Vec::new()));
        let (distance, same) = distance_and_gradients(layer, layer, Measure::Squares);
        assert_eq!((loss, distance), (0.0, 0.0));
        for Gradients { hidden, table, bias } in [gradients, same] {
            assert_eq!((hidden, table, bias), (vec![], vec![0.0; 6], vec![0.0; 3]));
        }
    }
}
