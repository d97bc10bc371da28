//! Means of hidden states.

use burn::tensor::Device;
use objective::LabelledSequence;
use trunk::{Encoder, Sequences};

/// A row of features for each text, `[rows, width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanStates {
    /// Row after row.
    pub values: Vec<f32>,
    /// Features of a row.
    pub width: usize,
}

impl MeanStates {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// The rows at `indices`.
    pub fn select(&self, indices: impl Iterator<Item = usize>) -> Self {
        let row = |i: usize| self.values[i * self.width..(i + 1) * self.width].iter().copied();
        Self { values: indices.flat_map(row).collect(), width: self.width }
    }
}

/// The mean of the hidden states of each segment of each row, one segment after the other, for the
/// embeddings and for every layer. Special tokens count as tokens of their segment. All rows have a
/// second segment, or none has. `batch` rows are computed at a time.
pub fn mean_states(
    encoder: &Encoder,
    rows: &[LabelledSequence],
    has_segments: bool,
    batch: usize,
    device: &Device,
) -> Vec<MeanStates> {
    let mut layers: Vec<MeanStates> = Vec::new();
    for rows in rows.chunks(batch) {
        let tokens: Vec<&[u32]> = rows.iter().map(|row| row.tokens.as_slice()).collect();
        let mut sequences = Sequences::pad(&tokens, 0);
        if has_segments {
            let segments: Vec<Vec<u32>> = rows.iter().map(segments).collect();
            sequences = sequences.with_segments(&segments);
        }

        let input = sequences.input(device);
        let states = encoder.trace(&input, None).states;
        layers.resize_with(states.len(), || MeanStates { values: Vec::new(), width: 0 });
        for (layer, states) in layers.iter_mut().zip(states) {
            let hidden = states.dims()[1];
            let values: Vec<f32> = states.into_data().iter::<f32>().collect();
            for (row, sequence) in rows.iter().enumerate() {
                let first = input.rows.range(row).start;
                let n = sequence.tokens.len();
                let cut = sequence.second.map(|second| second as usize);
                let parts = [Some(0..cut.unwrap_or(n)), cut.map(|cut| cut..n)];
                for part in parts.into_iter().flatten() {
                    let of_part =
                        &values[(first + part.start) * hidden..(first + part.end) * hidden];
                    layer.values.extend(mean(of_part, hidden));
                }
                layer.width = hidden * if cut.is_some() { 2 } else { 1 };
            }
        }
    }
    layers
}

/// The segment of each token of a row.
fn segments(row: &LabelledSequence) -> Vec<u32> {
    let second = row.second.map_or(row.tokens.len(), |second| second as usize);
    (0..row.tokens.len()).map(|i| u32::from(i >= second)).collect()
}

/// The mean of rows of `width`.
fn mean(values: &[f32], width: usize) -> Vec<f32> {
    let n = (values.len() / width).max(1) as f64;
    let column =
        |j: usize| values.iter().skip(j).step_by(width).map(|x| f64::from(*x)).sum::<f64>();
    (0..width).map(|j| (column(j) / n) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use objective::fixtures;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn row(tokens: &[u32], second: Option<u32>) -> LabelledSequence {
        LabelledSequence { tokens: tokens.to_vec(), second, label: None, teacher_logits: None }
    }

    #[test]
    fn a_row_has_the_means_of_its_own_states_whoever_is_beside_it() {
        let device = Device::flex();
        let encoder =
            Encoder::init(&fixtures::encoder(), &mut ChaCha8Rng::seed_from_u64(1), &device);
        let rows =
            [row(&[2, 7, 8, 3], None), row(&[2, 9, 3], None), row(&[2, 5, 6, 7, 8, 3], None)];
        let together = mean_states(&encoder, &rows, false, 32, &device);
        assert_eq!(together.len(), 3, "embeddings and two layers");

        let sequences = Sequences::pad(&[&rows[1].tokens[..]], 0);
        let last = encoder.forward(&sequences.input(&device), None).mean_dim(0);
        let last: Vec<f32> = last.into_data().iter::<f32>().collect();
        let found = together[2].select([1].into_iter());
        assert!(found.values.iter().zip(&last).all(|(a, b)| (a - b).abs() < 1e-5));
        assert_eq!((found.rows(), together[2].rows()), (1, 3));
    }

    #[test]
    fn two_segments_have_a_mean_each() {
        let device = Device::flex();
        let encoder =
            Encoder::init(&fixtures::encoder(), &mut ChaCha8Rng::seed_from_u64(1), &device);
        let rows = [row(&[2, 7, 3, 9, 8, 3], Some(3))];
        let states = mean_states(&encoder, &rows, true, 1, &device);
        assert_eq!((states[0].width, states[0].rows()), (32, 1));

        // Embeddings do not see each other: the second mean is over tokens 3 to 5.
        let sequences =
            Sequences::pad(&[&rows[0].tokens[..]], 0).with_segments(&[[0, 0, 0, 1, 1, 1]]);
        let trace = encoder.trace(&sequences.input(&device), None).states.remove(0);
        let second = trace.slice([3..6, 0..16]).mean_dim(0).into_data();
        let same = states[0].values[16..].iter().zip(second.iter::<f32>());
        assert!(same.into_iter().all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
