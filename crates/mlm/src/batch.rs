//! From passages to masked sequences.

use corpus::Passage;
use objective::{Context, Example, Mark, Purpose, Shown};
use trunk::Sequences;

use crate::config::MlmConfig;
use crate::masking::{Masked, Masker, Replacement, Row};

/// A batch of masked sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct MlmBatch {
    /// What the encoder sees.
    pub sequences: Sequences,
    /// Flat places (row * len + position) that are predicted, in ascending order.
    pub places: Vec<u32>,
    /// The original token at each place.
    pub labels: Vec<u32>,
    /// What stands at each place.
    pub replacements: Vec<Replacement>,
}

/// Lays passages out and masks them.
pub(crate) struct Collator<'a> {
    pub config: &'a MlmConfig,
    pub context: &'a Context,
    pub training: &'a Masker,
    pub evaluation: &'a Masker,
}

impl Collator<'_> {
    pub fn collate(&self, examples: &[Example], purpose: Purpose) -> MlmBatch {
        let masker = match purpose {
            Purpose::Training => self.training,
            Purpose::Evaluation => self.evaluation,
        };
        let laid: Vec<Laid> = examples.iter().map(|example| self.lay(&example.passage)).collect();
        let rows: Vec<Row<'_>> =
            laid.iter().map(|laid| Row { tokens: &laid.tokens, word_starts: &laid.word_starts }).collect();
        let mut rngs: Vec<_> = examples.iter().map(|example| self.drawn(example, purpose).rng("mask")).collect();
        let masked = masker.mask_batch(&rows, &mut rngs);
        self.batch(&masked)
    }

    /// The example whose generator draws the mask: with static masking the epoch counts modulo the duplicates.
    fn drawn(&self, example: &Example, purpose: Purpose) -> Example {
        let mut example = example.clone();
        if purpose == Purpose::Training && self.config.duplicates > 0 {
            example.epoch %= self.config.duplicates;
        }
        example
    }

    /// `[CLS] passage [SEP]`, with a separator between documents if asked for.
    fn lay(&self, passage: &Passage) -> Laid {
        let specials = &self.context.specials;
        let mut laid = Laid { tokens: vec![specials.cls], word_starts: vec![true] };
        let mut documents = passage.document_starts.iter().peekable();
        for (i, (token, starts)) in passage.tokens.iter().zip(&passage.word_starts).enumerate() {
            let begins = documents.next_if(|start| **start as usize == i).is_some();
            if begins && self.config.separate_documents {
                laid.push(specials.sep, true);
            }
            laid.push(*token, *starts || i == 0);
        }
        laid.push(specials.sep, true);
        laid
    }

    fn batch(&self, masked: &[Masked]) -> MlmBatch {
        let rows: Vec<&[u32]> = masked.iter().map(|row| row.tokens.as_slice()).collect();
        let sequences = Sequences::pad(&rows, self.context.specials.pad);
        let mut batch = MlmBatch { sequences, places: Vec::new(), labels: Vec::new(), replacements: Vec::new() };
        for (row, masked) in masked.iter().enumerate() {
            for target in &masked.targets {
                batch.places.push((row * batch.sequences.len) as u32 + target.position);
                batch.labels.push(target.label);
                batch.replacements.push(target.replacement);
            }
        }
        batch
    }
}

impl MlmBatch {
    /// Row `row` token by token.
    pub(crate) fn show(&self, row: usize, special_ids: &[u32]) -> Vec<Shown> {
        let len = self.sequences.len;
        let place = |position: usize| self.places.binary_search(&((row * len + position) as u32)).ok();
        let token = |position: usize| {
            let token = self.sequences.tokens[row * len + position];
            let (label, mark) = match place(position) {
                Some(i) => (Some(self.labels[i]), self.replacements[i].into()),
                None if special_ids.binary_search(&token).is_ok() => (None, Mark::Special),
                None => (None, Mark::Plain),
            };
            Shown { token, label, mark }
        };
        (0..self.sequences.lengths[row]).map(token).collect()
    }
}

impl From<Replacement> for Mark {
    fn from(replacement: Replacement) -> Self {
        match replacement {
            Replacement::Mask => Self::Masked,
            Replacement::Random => Self::Random,
            Replacement::Keep => Self::Kept,
        }
    }
}

/// A sequence with its special tokens.
struct Laid {
    tokens: Vec<u32>,
    word_starts: Vec<bool>,
}

impl Laid {
    fn push(&mut self, token: u32, word_start: bool) {
        self.tokens.push(token);
        self.word_starts.push(word_start);
    }
}
