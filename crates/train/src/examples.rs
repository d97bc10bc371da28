//! The examples of a run: passages of a text, or labelled sequences.

use std::sync::Arc;

use corpus::{Manifest, Passages, Permutation};
use objective::{Example, LabelledSequence};

/// The examples of a run.
#[derive(Debug)]
pub enum Examples {
    /// Passages of a text.
    Text(Passages),
    /// Labelled sequences.
    Labelled(Arc<Vec<LabelledSequence>>),
}

impl Examples {
    /// The number of examples.
    pub fn len(&self) -> u64 {
        match self {
            Self::Text(passages) => passages.len(),
            Self::Labelled(rows) => rows.len() as u64,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens of all examples.
    pub fn tokens(&self) -> u64 {
        match self {
            Self::Text(passages) => passages.tokens(),
            Self::Labelled(rows) => rows.iter().map(|row| row.tokens.len() as u64).sum(),
        }
    }

    /// The tokens of example `number`.
    pub fn length(&self, number: u64) -> usize {
        match self {
            Self::Text(passages) => passages.get(number).tokens.len(),
            Self::Labelled(rows) => rows[number as usize].tokens.len(),
        }
    }

    /// A hash of everything that the examples are made from: files of text and their tokenizer, or
    /// rows.
    pub fn fingerprint(&self) -> blake3::Hash {
        let mut hash = blake3::Hasher::new();

        match self {
            Self::Text(passages) => {
                let Manifest { content_hashes, annotations, tokenizer, .. } = passages.manifest();
                for part in content_hashes.iter().chain(annotations).chain([tokenizer]) {
                    hash.update(part.as_bytes());
                }
            }
            Self::Labelled(rows) => {
                for row in rows.iter() {
                    hash.update(format!("{row:?}").as_bytes());
                }
            }
        }

        hash.finalize()
    }

    /// Example `number` in `epoch` of the run with `seed`, with the partner of `partner_epoch` if
    /// there is one, see [`objective::Objective::partner_epoch`].
    pub fn get(&self, number: u64, seed: u64, epoch: u64, partner_epoch: Option<u64>) -> Example {
        match self {
            Self::Text(passages) => {
                let partner = partner_epoch.and_then(|epoch| passages.partner(number, seed, epoch));
                Example {
                    passage: passages.get(number),
                    seed,
                    epoch,
                    partner,
                    label: None,
                    teacher_logits: None,
                    progress: 1.0,
                    token_weights: None,
                    piece: 0,
                }
            }
            Self::Labelled(rows) => rows[number as usize].example(number, seed, epoch),
        }
    }
}

/// The fixed evaluation examples: `count` of them (0: all), always the same for the same text,
/// packing and seed. `partner_epoch` is the objective's for [`Example::EVALUATION`].
pub fn evaluation_set(
    examples: &Examples,
    count: usize,
    seed: u64,
    partner_epoch: Option<u64>,
) -> Vec<Example> {
    let len = examples.len();
    let count = if count == 0 { len } else { len.min(count as u64) };

    let permutation = Permutation::new(len, seed);
    let mut numbers: Vec<u64> = (0..count).map(|i| permutation.at(0, i)).collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|n| examples.get(n, seed, Example::EVALUATION, partner_epoch)).collect()
}
