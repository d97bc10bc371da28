//! Sequences that are masked and sequences that are read causally, in one batch.

use corpus::uniform;
use mlm::{Laid, Masked, Maskers, MlmBatch, Replacement, Target};
use objective::{Example, Purpose};

use crate::config::MntpConfig;

/// A batch of masked and of causal sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct MntpBatch {
    /// All sequences, with the positions of the tokens that are predicted: the masked ones, and in
    /// causal sequences all after the first.
    pub mlm: MlmBatch,
    /// What the mean loss of causal sequences is multiplied by; that of the others by the rest.
    pub causal_share: f64,
}

/// What a target belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A masked sequence.
    Masked,
    /// A causal one.
    Causal,
}

impl MntpBatch {
    /// The flat positions whose hidden states predict: each one before its target.
    pub fn asked(&self) -> Vec<u32> {
        let positions = self.mlm.predicted_positions().iter();
        positions.map(|position| position.saturating_sub(1)).collect()
    }

    /// The targets of one kind, and which of all targets they are; without one, the first, which
    /// counts nothing.
    pub fn part(&self, reading: Reading) -> (MlmBatch, Vec<u32>) {
        let MlmBatch { sequences, positions, labels, replacements } = &self.mlm;
        let chosen = self.chosen(reading);
        let part = MlmBatch {
            sequences: sequences.clone(),
            positions: chosen.iter().map(|i| positions[*i]).collect(),
            labels: chosen.iter().map(|i| labels[*i]).collect(),
            replacements: chosen.iter().map(|i| replacements[*i]).collect(),
        };
        let indices = chosen.into_iter().map(|i| i as u32).collect::<Vec<_>>();
        (part, if indices.is_empty() { vec![0] } else { indices })
    }

    /// The number of targets of each kind.
    pub fn counts(&self) -> [usize; 2] {
        [Reading::Masked, Reading::Causal].map(|reading| self.chosen(reading).len())
    }

    /// Which of all targets are of one kind.
    fn chosen(&self, reading: Reading) -> Vec<usize> {
        let MlmBatch { sequences, positions, .. } = &self.mlm;
        let is_causal = |flat: u32| sequences.causal[flat as usize / sequences.len];
        let is_of_kind = |i: &usize| is_causal(positions[*i]) == (reading == Reading::Causal);
        (0..positions.len()).filter(is_of_kind).collect()
    }
}

/// Lays out sequences. In training each is read in one way, drawn for it; in evaluation each is
/// read in both ways, if any is causal.
pub fn collate(
    examples: &[Example],
    laid: Vec<Laid>,
    purpose: Purpose,
    config: &MntpConfig,
    maskers: &Maskers,
    pad: u32,
) -> MntpBatch {
    let causal_share = config.causal_at(examples.first().map_or(1.0, |example| example.progress));
    let reads_causally = |example: &Example| uniform(&mut example.rng("causal")) < causal_share;

    let rows: Vec<(usize, bool)> = match purpose {
        Purpose::Training => {
            examples.iter().enumerate().map(|(i, example)| (i, reads_causally(example))).collect()
        }
        Purpose::Evaluation if causal_share > 0.0 => {
            let both = [false, true].into_iter();
            both.flat_map(|causal| (0..examples.len()).map(move |i| (i, causal))).collect()
        }
        Purpose::Evaluation => (0..examples.len()).map(|i| (i, false)).collect(),
    };

    let hidden: Vec<(&Laid, Example)> = rows
        .iter()
        .filter(|(_, causal)| !causal)
        .map(|(i, _)| (&laid[*i], maskers.drawn(&examples[*i])))
        .collect();
    let inputs: Vec<_> = hidden.iter().map(|(laid, example)| laid.row(example)).collect();
    let mut rngs: Vec<_> = hidden.iter().map(|(_, example)| example.rng("mask")).collect();
    let mut hidden = maskers.of(purpose).mask_batch(&inputs, &mut rngs).into_iter();

    let shown: Vec<Laid> = rows.iter().map(|(i, _)| laid[*i].clone()).collect();
    let masked: Vec<Masked> = rows
        .iter()
        .zip(&shown)
        .map(|((_, causal), laid)| match causal {
            true => all_targets(laid),
            false => without_first(hidden.next().expect("one for each masked row"), laid),
        })
        .collect();

    let mut mlm = MlmBatch::of(&shown, &masked, pad);
    mlm.sequences.causal = rows.into_iter().map(|(_, causal)| causal).collect();
    MntpBatch { mlm, causal_share }
}

/// Whether no token that the one at `position` may see stands before it.
fn is_first(laid: &Laid, position: u32) -> bool {
    position == 0 || laid.documents.binary_search(&position).is_ok()
}

/// Every token with one before it is to be predicted, and none is hidden.
fn all_targets(laid: &Laid) -> Masked {
    let target = |position: usize| Target {
        position: position as u32,
        label: laid.tokens[position],
        replacement: Replacement::Keep,
    };
    let predicted = (0..laid.tokens.len()).filter(|position| !is_first(laid, *position as u32));
    Masked { tokens: laid.tokens.clone(), targets: predicted.map(target).collect() }
}

/// No token stands before the first of a document, so nothing predicts it: it stays as it is.
fn without_first(mut masked: Masked, laid: &Laid) -> Masked {
    masked.targets.retain(|target| !is_first(laid, target.position));
    for position in [0].into_iter().chain(laid.documents.iter().map(|start| *start as usize)) {
        masked.tokens[position] = laid.tokens[position];
    }
    masked
}
