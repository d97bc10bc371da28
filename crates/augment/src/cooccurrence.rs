//! Small word vectors from the co-occurrence of words.
//!
//! The matrix is the positive pointwise mutual information of words and their neighbours, with the
//! neighbours' probabilities smoothed by the power 0.75 (Levy, Goldberg and Dagan 2015, section 3).
//! It is projected on its main directions, found by subspace iteration from random ones (Halko,
//! Martinsson and Tropp 2011, algorithm 4.4).

use std::collections::{BTreeMap, HashMap};

use corpus::{keyed_rng, uniform};
use rayon::prelude::*;

use crate::vectors::Vectors;
use crate::words::Words;

/// How vectors are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainVectors {
    /// How many words get a vector, the most frequent first.
    pub words: usize,
    /// Length of a vector.
    pub width: usize,
    /// Neighbours on either side.
    pub window: usize,
    /// Seed of the initial directions.
    pub seed: u64,
}

impl Default for TrainVectors {
    fn default() -> Self {
        Self { words: 20_000, width: 100, window: 5, seed: 1 }
    }
}

/// Rounds of subspace iteration.
const ROUNDS: usize = 4;

/// A row of a sparse matrix: columns and values.
type Sparse = Vec<(u32, f32)>;

/// Vectors of the words of `sentences`, lower-cased; the same for any number of threads.
pub fn train_vectors<'s>(
    sentences: impl IntoIterator<Item = &'s str> + Clone,
    config: &TrainVectors,
) -> Vectors {
    let words = most_frequent(sentences.clone(), config.words);
    let matrix = information(&count_pairs(sentences, &words, config.window));

    let width = config.width.min(words.len());
    let mut rng = keyed_rng("vectors", config.seed, words.len() as u64, width as u64);
    let mut basis: Vec<f32> =
        (0..words.len() * width).map(|_| (uniform(&mut rng) - 0.5) as f32).collect();
    for _ in 0..ROUNDS {
        basis = product(&matrix, &basis, width);
        orthonormalise(&mut basis, width);
    }

    let values = product(&matrix, &basis, width);
    Vectors::from_table(words, values)
}

/// The `limit` most frequent words, lower-cased; equally frequent ones in alphabetical order.
fn most_frequent<'s>(sentences: impl IntoIterator<Item = &'s str>, limit: usize) -> Vec<String> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for sentence in sentences {
        for word in Words::new(sentence).iter() {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
    }

    let mut words: Vec<(String, u64)> = counts.into_iter().collect();
    words.sort_by(|(word, count), (other, others)| others.cmp(count).then_with(|| word.cmp(other)));
    words.truncate(limit);
    words.into_iter().map(|(word, _)| word).collect()
}

/// For each of `words`, how often each of them occurs within `window` words of it.
fn count_pairs<'s>(
    sentences: impl IntoIterator<Item = &'s str>,
    words: &[String],
    window: usize,
) -> Vec<BTreeMap<u32, u32>> {
    let ids: HashMap<&str, u32> =
        words.iter().zip(0u32..).map(|(word, id)| (word.as_str(), id)).collect();
    let id = |word: &str| ids.get(word.to_lowercase().as_str()).copied();

    let mut pairs: Vec<BTreeMap<u32, u32>> = vec![BTreeMap::new(); words.len()];
    for sentence in sentences {
        let sentence: Vec<Option<u32>> = Words::new(sentence).iter().map(id).collect();
        for (i, word) in sentence.iter().enumerate() {
            let neighbours = &sentence[i + 1..sentence.len().min(i + 1 + window)];
            for (word, other) in neighbours.iter().filter_map(|other| Some(((*word)?, (*other)?))) {
                *pairs[word as usize].entry(other).or_default() += 1;
                *pairs[other as usize].entry(word).or_default() += 1;
            }
        }
    }
    pairs
}

/// The positive pointwise mutual information of counted pairs; symmetric except for the smoothing.
fn information(pairs: &[BTreeMap<u32, u32>]) -> Vec<Sparse> {
    let totals: Vec<f64> =
        pairs.iter().map(|row| row.values().map(|count| f64::from(*count)).sum()).collect();
    let all: f64 = totals.iter().sum();
    let smoothed: Vec<f64> = totals.iter().map(|total| total.powf(0.75)).collect();
    let sum: f64 = smoothed.iter().sum();

    let row = |(word, row): (usize, &BTreeMap<u32, u32>)| -> Sparse {
        let of = |(other, count): (&u32, &u32)| {
            let expected = totals[word] / all * smoothed[*other as usize] / sum;
            let information = (f64::from(*count) / all / expected).ln();
            (information > 0.0).then_some((*other, information as f32))
        };
        row.iter().filter_map(of).collect()
    };

    pairs.par_iter().enumerate().map(row).collect()
}

/// The product of the matrix and the `columns` columns of `basis`.
fn product(matrix: &[Sparse], basis: &[f32], columns: usize) -> Vec<f32> {
    let row = |row: &Sparse| {
        let mut sums = vec![0.0f32; columns];
        for (other, value) in row {
            let start = *other as usize * columns;
            sums.iter_mut()
                .zip(&basis[start..start + columns])
                .for_each(|(sum, x)| *sum += value * x);
        }
        sums
    };
    matrix.par_iter().flat_map_iter(row).collect()
}

/// Makes the columns orthogonal and of length 1 (modified Gram-Schmidt).
fn orthonormalise(basis: &mut [f32], columns: usize) {
    let rows = basis.len() / columns.max(1);
    let mut transposed: Vec<Vec<f32>> = (0..columns)
        .map(|column| (0..rows).map(|row| basis[row * columns + column]).collect())
        .collect();

    for i in 0..columns {
        let (done, rest) = transposed.split_at_mut(i + 1);
        let column = &mut done[i];
        let norm =
            column.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt().max(1e-12)
                as f32;
        column.iter_mut().for_each(|x| *x /= norm);

        let column = &*column;
        rest.par_iter_mut().for_each(|other| {
            let dot: f32 = other.iter().zip(column).map(|(a, b)| a * b).sum();
            other.iter_mut().zip(column).for_each(|(x, b)| *x -= dot * b);
        });
    }

    for (column, values) in transposed.iter().enumerate() {
        for (row, value) in values.iter().enumerate() {
            basis[row * columns + column] = *value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Animals eat and sleep, vehicles drive and park.
    fn sentences() -> Vec<String> {
        let animals = ["cat", "dog", "horse"].map(|who| {
            ["eats hay", "sleeps well", "eats well"].map(|does| format!("the {who} {does}"))
        });
        let vehicles = ["car", "bus", "truck"].map(|who| {
            ["drives fast", "parks here", "drives here"].map(|does| format!("a {who} {does}"))
        });
        animals.into_iter().chain(vehicles).flatten().collect()
    }

    fn train(threads: usize) -> Vectors {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let sentences = sentences();
        let config = TrainVectors { width: 4, window: 2, ..TrainVectors::default() };
        pool.install(|| train_vectors(sentences.iter().map(String::as_str), &config))
    }

    #[test]
    fn words_in_the_same_company_are_neighbours() {
        let vectors = train(2);
        let mut near = vectors.nearest("cat", 2);
        near.sort_unstable();
        assert_eq!(near, ["dog", "horse"]);

        let mut near = vectors.nearest("bus", 2);
        near.sort_unstable();
        assert_eq!(near, ["car", "truck"]);
    }

    #[test]
    fn the_threads_change_no_bit() {
        let one = train(1);
        for threads in [2, 4] {
            let other = train(threads);
            for word in ["cat", "the", "parks"] {
                assert_eq!(one.get(word), other.get(word));
            }
        }
    }
}
