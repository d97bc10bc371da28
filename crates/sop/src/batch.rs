//! Pairs, laid out and masked.

use mlm::{LaidPairs, Maskers, MlmBatch, Pairing};
use objective::{Example, Purpose};

/// A batch of masked pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct SopBatch {
    /// The sequences and what is masked in them.
    pub mlm: MlmBatch,
    /// Sequences that are asked about, in ascending order.
    pub rows: Vec<u32>,
    /// The right answer for each of them: 0 in order (the next), 1 swapped (of another document).
    pub pair_labels: Vec<u32>,
}

/// Makes the batch.
pub fn collate(
    examples: &[Example],
    purpose: Purpose,
    pairing: Pairing,
    maskers: &Maskers,
    specials: &corpus::Specials,
) -> SopBatch {
    let drawn: Vec<Example> = examples.iter().map(|example| maskers.drawn(example)).collect();
    let LaidPairs { laid, owners, rows, pair_labels } = pairing.lay(&drawn, purpose, specials);
    SopBatch { mlm: maskers.batch(&laid, &owners, purpose), rows, pair_labels }
}
