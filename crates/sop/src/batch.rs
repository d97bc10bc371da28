//! Pairs, laid out and masked.

use mlm::{Answer, Laid, Maskers, MlmBatch, Pairing};
use objective::{Example, Purpose};

/// A batch of masked pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct SopBatch {
    /// The sequences and what is masked in them.
    pub mlm: MlmBatch,
    /// Sequences that are asked about, in ascending order.
    pub rows: Vec<u32>,
    /// The right answer for each of them: 0 in order (the next), 1 swapped (of another document).
    pub answers: Vec<u32>,
}

/// Makes the batch. In evaluation every example is two sequences, one for each answer, where it gives a pair.
pub fn collate(
    examples: &[Example],
    purpose: Purpose,
    pairing: Pairing,
    maskers: &Maskers,
    specials: &corpus::Specials,
) -> SopBatch {
    let drawn: Vec<Example> = examples.iter().map(|example| maskers.drawn(example, purpose)).collect();
    let (mut laid, mut owners, mut rows, mut answers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for example in &drawn {
        let pair = |answer| pairing.pair(example, answer, &mut example.rng("pair"));
        let pairs = match purpose {
            Purpose::Training => vec![pair(Answer::Drawn)],
            Purpose::Evaluation => vec![pair(Answer::Fixed(0)), pair(Answer::Fixed(1))],
        };
        let asked = pairs.iter().any(|pair| pair.label.is_some());
        // Where nothing is asked, one of two equal sequences is enough.
        for pair in pairs.into_iter().take(if asked { 2 } else { 1 }) {
            if let Some(label) = pair.label {
                rows.push(laid.len() as u32);
                answers.push(label);
            }
            laid.push(Laid::pair(&pair.first, pair.second.as_ref(), specials));
            owners.push(example);
        }
    }
    SopBatch { mlm: maskers.batch(&laid, &owners, purpose), rows, answers }
}
