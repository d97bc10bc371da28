//! The masker: knobs, vocabulary and generator in, masked sequence and targets out.

use std::sync::Arc;

use corpus::Ngrams;
use rand_chacha::ChaCha8Rng;

use super::budget::{ceiling, count};
use super::config::Masking;
use super::draw::{Cumulative, below, ngram_lengths, span_lengths, uniform};
use super::error::MaskingError;
use super::knobs::{Budget, BudgetOf, Cap, Eligible, Scope, Unit};
use super::replace::{Replacer, Target};
use super::units::{self, Chosen};
use super::vocabulary::Vocabulary;

/// A sequence with its special tokens.
#[derive(Clone, Copy, Debug)]
pub struct MaskInput<'a> {
    /// Ids, each below the vocabulary's size.
    pub tokens: &'a [u32],
    /// Whether a word begins with the token. A special token is always a word of its own, and a
    /// word begins after it.
    pub word_starts: &'a [bool],
    /// The number of the annotated span that each token is in, 0 where it is in none; only
    /// [`Unit::Annotated`] looks.
    pub spans: &'a [u32],
    /// How much each token id is preferred, `[vocabulary]`; none: all alike. Only single tokens are.
    pub weights: Option<&'a [f32]>,
    /// Share of the training budget that is spent, see [`Masking::rate_at`].
    pub progress: f64,
}

/// The positions of each annotated span, in the order of the text.
fn annotated(row: &MaskInput<'_>, positions: &[u32]) -> Chosen {
    let number = |position: &u32| row.spans.get(*position as usize).copied().unwrap_or(0);
    let inside: Vec<u32> =
        positions.iter().copied().filter(|position| number(position) > 0).collect();
    inside.chunk_by(|a, b| number(a) == number(b)).map(<[u32]>::to_vec).collect()
}

/// How much each unit is preferred to the others, on average 1. Only units of one token are weighed.
fn preference<'a>(row: &MaskInput<'a>, units: &Chosen) -> impl Fn(&[u32]) -> f64 + use<'a> {
    let (tokens, weights) = (row.tokens, row.weights);
    let weight = move |unit: &[u32]| {
        weights.map_or(1.0, |weights| f64::from(weights[tokens[unit[0] as usize] as usize]))
    };
    let mean = units.iter().map(|unit| weight(unit)).sum::<f64>() / units.len().max(1) as f64;
    move |unit: &[u32]| weight(unit) / mean
}

/// As many of the chosen units, at random, as the cap allows.
fn capped(chosen: Chosen, cap: usize, rng: &mut ChaCha8Rng) -> Chosen {
    let count: usize = chosen.iter().map(Vec::len).sum();
    if count > cap { units::words(chosen, cap, rng) } else { chosen }
}

impl Cap {
    /// Most targets of a sequence of `max_length` tokens.
    fn of(self, rate: f64, max_length: usize) -> usize {
        match self {
            Self::None => usize::MAX,
            Self::Advised => ceiling(rate, max_length),
            // The small number is for products that are integers but for their last bits.
            Self::Slots => ((rate + 0.005) * max_length as f64 + 1e-9) as usize,
            Self::At(count) => count,
        }
    }
}

/// A masked sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// What the model sees.
    pub tokens: Vec<u32>,
    /// What it is asked, by position; a position twice only with `repeat`. Empty where no token may
    /// be chosen and where no word fits the budget; and by chance with [`Budget::Bernoulli`], with
    /// [`Scope::Batch`], and with [`Budget::Probabilistic`] in sequences shorter than 1 / rate.
    pub targets: Vec<Target>,
}

/// Masks sequences. All that it draws comes from the generators it is given.
#[derive(Clone, Debug)]
pub struct Masker {
    masking: Masking,
    specials: Vec<u32>,
    max_length: usize,
    replacer: Replacer,
    ngrams: Cumulative,
    spans: Cumulative,
    /// Weight of each id, where rare tokens are preferred.
    weights: Option<Vec<f64>>,
    known: Arc<Ngrams>,
}

impl Masker {
    /// A masker for sequences of at most `max_length` tokens, special tokens included; only
    /// [`Cap::Advised`] asks for that length, and longer sequences are no error.
    ///
    /// # Errors
    /// When knobs do not fit together or to the vocabulary.
    pub fn new(
        masking: Masking,
        mut vocabulary: Vocabulary,
        max_length: usize,
    ) -> Result<Self, MaskingError> {
        masking.validate()?;
        masking.validate_with(&vocabulary)?;

        vocabulary.specials.sort_unstable();
        let mut specials = vocabulary.specials.clone();
        if masking.eligible == Eligible::Content {
            specials.retain(|id| *id != vocabulary.unk);
        }

        let weight = |count: &u64| ((*count).max(1) as f64).powf(-masking.smoothing);
        let weights =
            (masking.smoothing > 0.0).then(|| vocabulary.counts.iter().map(weight).collect());

        Ok(Self {
            max_length,
            replacer: Replacer::new(&masking, &vocabulary),
            ngrams: ngram_lengths(masking.ngram_max),
            spans: span_lengths(masking.span_max, masking.span_p),
            weights,
            specials,
            known: vocabulary.ngrams.unwrap_or_default(),
            masking,
        })
    }

    /// The knobs.
    pub fn masking(&self) -> &Masking {
        &self.masking
    }

    /// Masks one sequence; with the scope batch, as a batch of one.
    ///
    /// # Panics
    /// When there are not as many word starts as tokens.
    pub fn mask(&self, row: &MaskInput<'_>, rng: &mut ChaCha8Rng) -> Masked {
        assert_eq!(row.tokens.len(), row.word_starts.len(), "a word start for each token");

        let positions = self.positions(row);
        let chosen = match self.masking.scope {
            _ if positions.is_empty() => Vec::new(),
            Scope::Passage => self.choose(row, positions, rng),
            // DistilBERT's budget counts every real token of the batch, special tokens too.
            Scope::Batch => {
                let rate = self.masking.rate_at(row.progress);
                self.tokens(row, positions, ceiling(rate, row.tokens.len()), rng)
            }
        };

        let mut tokens = row.tokens.to_vec();
        let targets = self.replacer.replace(&mut tokens, &chosen, rng);
        Masked { tokens, targets }
    }

    /// Masks the sequences of a batch (without padding), each with its own generator; with the
    /// scope batch all with that of the first.
    ///
    /// # Panics
    /// When there are not as many generators as sequences, or as many word starts as tokens.
    pub fn mask_batch(&self, rows: &[MaskInput<'_>], rngs: &mut [ChaCha8Rng]) -> Vec<Masked> {
        assert_eq!(rows.len(), rngs.len(), "a generator for each sequence");
        match (self.masking.scope, rngs.first_mut()) {
            (Scope::Batch, Some(rng)) => self.mask_together(rows, rng),
            _ => rows.iter().zip(rngs).map(|(row, rng)| self.mask(row, rng)).collect(),
        }
    }

    /// Masks the rows, one after another, as one long row.
    fn mask_together(&self, rows: &[MaskInput<'_>], rng: &mut ChaCha8Rng) -> Vec<Masked> {
        let tokens: Vec<u32> = rows.iter().flat_map(|row| row.tokens).copied().collect();
        let word_starts: Vec<bool> = rows.iter().flat_map(|row| row.word_starts).copied().collect();
        let progress = rows.first().map_or(1.0, |row| row.progress);
        let whole = MaskInput {
            tokens: &tokens,
            word_starts: &word_starts,
            spans: &[],
            weights: None,
            progress,
        };
        let Masked { tokens, targets } = self.mask(&whole, rng);

        let (mut tokens, mut targets) = (tokens.as_slice(), targets.as_slice());
        let mut start = 0;
        let mut split = |row: &MaskInput<'_>| {
            let end = start + row.tokens.len() as u32;
            let (of_row, later) =
                targets.split_at(targets.partition_point(|target| target.position < end));
            let (seen, unseen) = tokens.split_at(row.tokens.len());
            let shifted = of_row
                .iter()
                .map(|target| Target { position: target.position - start, ..*target })
                .collect();
            (start, tokens, targets) = (end, unseen, later);
            Masked { tokens: seen.to_vec(), targets: shifted }
        };
        rows.iter().map(&mut split).collect()
    }

    fn choose(&self, row: &MaskInput<'_>, positions: Vec<u32>, rng: &mut ChaCha8Rng) -> Chosen {
        let Masking { unit, budget, budget_of, ngram_max, .. } = self.masking;
        let rate = self.masking.rate_at(row.progress);
        let cap = self.masking.cap.of(rate, self.max_length);
        let words = self.words(row);
        if budget == Budget::Bernoulli {
            let units = if unit == Unit::Word {
                words
            } else {
                positions.into_iter().map(|position| vec![position]).collect()
            };
            let share = preference(row, &units);
            let chosen =
                units.into_iter().filter(|unit| uniform(rng) < rate * share(unit)).collect();
            return capped(chosen, cap, rng);
        }

        if budget_of == BudgetOf::Words {
            let count = count(budget, rate, words.len(), words.len(), rng);
            return capped(units::sample(words, count, rng), cap, rng);
        }

        let count = count(budget, rate, row.tokens.len(), positions.len(), rng).min(cap);
        match unit {
            Unit::Token => self.tokens(row, positions, count, rng),
            Unit::Word => units::words(words, count, rng),
            Unit::Ngram => units::ngrams(&words, &self.ngrams, ngram_max, count, rng),
            Unit::Span => units::spans(&words, &self.spans, count, rng),
            Unit::Pmi => {
                let ngrams = self.ngrams(row, words, rng);
                units::words(ngrams, count, rng)
            }
            Unit::Annotated => units::annotated(words, annotated(row, &positions), count, rng),
        }
    }

    /// The words of a row, those of an n-gram that belongs together as one.
    fn ngrams(&self, row: &MaskInput<'_>, words: Chosen, rng: &mut ChaCha8Rng) -> Chosen {
        let tokens = |word: &Vec<u32>| -> Vec<u32> {
            word.iter().map(|position| row.tokens[*position as usize]).collect()
        };
        let known = |run: &[Vec<u32>]| self.known.find(&run.iter().map(tokens).collect::<Vec<_>>());
        units::joined(words, known, rng)
    }

    /// `count` single tokens of `positions`.
    fn tokens(
        &self,
        row: &MaskInput<'_>,
        positions: Vec<u32>,
        count: usize,
        rng: &mut ChaCha8Rng,
    ) -> Chosen {
        if self.masking.repeat {
            return (0..count).map(|_| vec![positions[below(positions.len(), rng)]]).collect();
        }

        let token = |position: u32| row.tokens[position as usize] as usize;
        match (&self.weights, row.weights) {
            (Some(weights), _) => {
                units::weighted(&positions, |position| weights[token(position)], count, rng)
            }
            (None, Some(weights)) => {
                let weight = |position| f64::from(weights[token(position)]);
                units::weighted(&positions, weight, count, rng)
            }
            (None, None) => units::sample(
                positions.into_iter().map(|position| vec![position]).collect(),
                count,
                rng,
            ),
        }
    }

    /// The positions that may be chosen.
    fn positions(&self, row: &MaskInput<'_>) -> Vec<u32> {
        (0..row.tokens.len() as u32)
            .filter(|position| self.may_be_chosen(row.tokens[*position as usize]))
            .collect()
    }

    /// The positions that may be chosen, by words.
    fn words(&self, row: &MaskInput<'_>) -> Vec<Vec<u32>> {
        let mut words: Vec<Vec<u32>> = Vec::new();
        let mut after_special = true;
        for (position, token) in row.tokens.iter().enumerate() {
            let special = self.is_special(*token);
            let begins = special || after_special || row.word_starts[position];
            after_special = special;

            if !self.may_be_chosen(*token) {
                continue;
            }
            match words.last_mut() {
                Some(word) if !begins => word.push(position as u32),
                _ => words.push(vec![position as u32]),
            }
        }
        words
    }

    fn may_be_chosen(&self, token: u32) -> bool {
        self.masking.eligible == Eligible::All || !self.is_special(token)
    }

    fn is_special(&self, token: u32) -> bool {
        self.specials.binary_search(&token).is_ok()
    }
}
