//! From sequences to masked batches.

use objective::{Context, Error, Example, Mark, Purpose, Shown};
use rand_chacha::ChaCha8Rng;
use trunk::Sequences;

use crate::layout::Laid;
use crate::masking::{Cumulative, MaskInput, Masked, Masker, Masking, Replacement, Vocabulary};

/// A batch of masked sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct MlmBatch {
    /// What the encoder sees.
    pub sequences: Sequences,
    /// Flat positions (row * len + position) that are predicted, in ascending order.
    pub positions: Vec<u32>,
    /// The original token at each position.
    pub labels: Vec<u32>,
    /// What stands at each position.
    pub replacements: Vec<Replacement>,
}

/// The maskers of an objective: one for training, one for evaluation.
#[derive(Clone, Debug)]
pub struct Maskers {
    training: Masker,
    evaluation: Masker,
    duplicates: u64,
    pad: u32,
    frequencies: Cumulative,
}

impl Maskers {
    /// Maskers with these knobs; `duplicates` as in [`crate::MlmConfig`].
    ///
    /// # Errors
    /// Names the knob that does not fit.
    pub fn new(
        training: &Masking,
        evaluation: &Masking,
        duplicates: u64,
        context: &Context,
    ) -> Result<Self, Error> {
        if training.adapt_every > 0 {
            let message = "masking.adapt_every: only the objective `mlm` tells what it predicted";
            return Err(Error(message.to_owned()));
        }
        Self::adapting(training, evaluation, duplicates, context)
    }

    /// [`Maskers::new`] of an objective that tells what came of the tokens that were predicted, see
    /// [`objective::Step::outcomes`].
    ///
    /// # Errors
    /// As [`Maskers::new`].
    pub fn adapting(
        training: &Masking,
        evaluation: &Masking,
        duplicates: u64,
        context: &Context,
    ) -> Result<Self, Error> {
        if evaluation.adapt_every > 0 {
            let message = "evaluation.adapt_every: evaluation has the same masks every time";
            return Err(Error(message.to_owned()));
        }

        let vocabulary = Vocabulary {
            size: context.vocabulary,
            mask: context.specials.mask,
            unk: context.specials.unk,
            specials: context.special_ids.clone(),
            counts: context.token_counts.clone(),
            ngrams: context.ngrams.clone(),
        };
        let masker = |name: &str, masking: &Masking| {
            Masker::new(masking.clone(), vocabulary.clone(), context.max_length)
                .map_err(|e| Error(format!("{name}.{e}")))
        };

        Ok(Self {
            training: masker("masking", training)?,
            evaluation: masker("evaluation", evaluation)?,
            duplicates,
            pad: context.specials.pad,
            frequencies: Cumulative::new(context.token_counts.iter().map(|count| *count as f64)),
        })
    }

    /// The masker for `purpose`.
    pub fn of(&self, purpose: Purpose) -> &Masker {
        match purpose {
            Purpose::Training => &self.training,
            Purpose::Evaluation => &self.evaluation,
        }
    }

    /// A token by its frequency in the training text.
    ///
    /// # Panics
    /// When nothing is known about that.
    pub fn frequent(&self, rng: &mut ChaCha8Rng) -> u32 {
        self.frequencies.draw(rng) as u32
    }

    /// The epoch that decides what is drawn in `epoch`: with static masking it counts modulo the
    /// duplicates.
    pub fn turn(&self, epoch: u64) -> u64 {
        if self.duplicates == 0 || epoch == Example::EVALUATION {
            epoch
        } else {
            epoch % self.duplicates
        }
    }

    /// The example whose generators draw, see [`Maskers::turn`].
    pub fn drawn(&self, example: &Example) -> Example {
        Example { epoch: self.turn(example.epoch), ..example.clone() }
    }

    /// Masks sequences, each with the generator of its example (as [`Maskers::drawn`] gives it).
    pub fn batch(&self, laid: &[Laid], drawn: &[&Example], purpose: Purpose) -> MlmBatch {
        let rows: Vec<MaskInput<'_>> =
            laid.iter().zip(drawn).map(|(laid, example)| laid.row(example)).collect();
        let mut rngs: Vec<_> = drawn.iter().map(|example| example.rng("mask")).collect();
        MlmBatch::of(laid, &self.of(purpose).mask_batch(&rows, &mut rngs), self.pad)
    }
}

impl MlmBatch {
    /// The batch of sequences that were masked, padded with `pad`.
    pub fn of(laid: &[Laid], masked: &[Masked], pad: u32) -> Self {
        let rows: Vec<&[u32]> = masked.iter().map(|row| row.tokens.as_slice()).collect();
        let mut sequences = Sequences::pad(&rows, pad);
        if laid.iter().any(|laid| laid.segments.iter().any(|segment| *segment > 0)) {
            let segments: Vec<&[u32]> = laid.iter().map(|laid| laid.segments.as_slice()).collect();
            sequences = sequences.with_segments(&segments);
        }
        if laid.iter().any(|laid| !laid.documents.is_empty()) {
            sequences.documents = laid.iter().map(|laid| laid.documents.clone()).collect();
        }

        let mut batch =
            Self { sequences, positions: Vec::new(), labels: Vec::new(), replacements: Vec::new() };
        for (row, masked) in masked.iter().enumerate() {
            for target in &masked.targets {
                batch.positions.push((row * batch.sequences.len) as u32 + target.position);
                batch.labels.push(target.label);
                batch.replacements.push(target.replacement);
            }
        }
        batch
    }

    /// The original sequences.
    pub fn unmasked(&self) -> Sequences {
        let mut sequences = self.sequences.clone();
        for (flat, label) in self.positions.iter().zip(&self.labels) {
            sequences.tokens[*flat as usize] = *label;
        }
        sequences
    }

    /// Row `row` token by token.
    pub fn show(&self, row: usize, special_ids: &[u32]) -> Vec<Shown> {
        let len = self.sequences.len;
        let target = |flat: usize| self.positions.binary_search(&(flat as u32)).ok();
        let token = |position: usize| {
            let flat = row * len + position;
            let token = self.sequences.tokens[flat];
            let segment = self.sequences.segments.get(flat).copied().unwrap_or(0);
            let (label, mark) = match target(flat) {
                Some(i) => (Some(self.labels[i]), self.replacements[i].into()),
                None if special_ids.binary_search(&token).is_ok() => (None, Mark::Special),
                None => (None, Mark::Plain),
            };
            Shown { token, label, mark, segment }
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
