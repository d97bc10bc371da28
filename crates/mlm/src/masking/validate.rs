//! Whether knobs fit together and to a vocabulary.

use super::config::Masking;
use super::error::MaskingError;
use super::knobs::{Budget, BudgetOf, Cap, RandomTokens, Scope, Unit};
use super::vocabulary::Vocabulary;

/// Fewest steps between updates of token weights: batches are made some steps ahead.
const FEWEST_STEPS: u64 = 8;

impl Masking {
    /// Checks that the knobs fit together.
    ///
    /// # Errors
    /// Names the first knob that does not fit, and what it should be.
    pub fn validate(&self) -> Result<(), MaskingError> {
        self.check_values()?;
        self.check_combinations()
    }

    /// Checks that the vocabulary has what the knobs need.
    pub(super) fn validate_with(&self, vocabulary: &Vocabulary) -> Result<(), MaskingError> {
        vocabulary.validate()?;

        let Vocabulary { size, counts, .. } = vocabulary;
        let counted = counts.iter().any(|count| *count > 0);
        if self.random_tokens == RandomTokens::Unigram && !counted {
            return fail(
                "random_tokens = \"unigram\": needs the token counts of the training text; write \
                 random_tokens = \"vocabulary\" or train on a corpus that is counted",
            );
        }
        if self.unit == Unit::Pmi && vocabulary.ngrams.is_none() {
            return fail(
                "unit = \"pmi\": needs corpus.ngrams, a file that `bert-variants corpus ngrams` \
                 writes",
            );
        }
        if self.random_tokens == RandomTokens::AfterSpecials && *size <= 4 {
            return fail("random_tokens = \"after-specials\": needs more than four ids");
        }
        if self.smoothing > 0.0 && !counted {
            return fail(format!(
                "smoothing = {}: needs the token counts of the training text; write smoothing = \
                 0.0 or train on a corpus that is counted",
                self.smoothing
            ));
        }
        Ok(())
    }

    fn check_values(&self) -> Result<(), MaskingError> {
        self.check_shares()?;
        self.check_lengths()?;
        check("cap", 0.0, self.cap != Cap::At(0), "must be at least 1, or \"none\"")
    }

    fn check_shares(&self) -> Result<(), MaskingError> {
        let inside = |value: f64| value > 0.0 && value < 1.0;
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        check("rate", self.rate, inside(self.rate), "must be above 0 and below 1")?;
        let last = self.final_rate;
        check("final_rate", last, last == 0.0 || inside(last), "must be at least 0 and below 1")?;
        check("mask", self.mask, is_share(self.mask), "must be between 0 and 1")?;
        check("random", self.random, is_share(self.random), "must be between 0 and 1")?;

        // 0.9 + 0.1 and the like may be off in the last bit.
        let fits = self.mask + self.random <= 1.0 + 1e-9;
        check("random", self.random, fits, "with mask it must not exceed 1")?;

        let is_power = (0.0..=10.0).contains(&self.smoothing);
        check("smoothing", self.smoothing, is_power, "must be between 0 and 10")?;
        check("span_p", self.span_p, inside(self.span_p), "must be above 0 and below 1")
    }

    fn check_lengths(&self) -> Result<(), MaskingError> {
        for (knob, length) in [("ngram_max", self.ngram_max), ("span_max", self.span_max)] {
            let fits = (1..=1000).contains(&length);
            check(knob, length as f64, fits, "must be between 1 and 1000")?;
        }
        Ok(())
    }

    fn check_combinations(&self) -> Result<(), MaskingError> {
        let batch = self.scope == Scope::Batch;
        let smooth = self.smoothing > 0.0;
        let independent = self.budget == Budget::Bernoulli;
        let words = self.budget_of == BudgetOf::Words;
        let token = self.unit == Unit::Token;

        let wrong = [
            (batch && !token, "scope = \"batch\": needs unit = \"token\""),
            (
                batch && self.budget != Budget::Ceiling,
                "scope = \"batch\": needs budget = \"ceiling\"",
            ),
            (batch && self.cap != Cap::None, "scope = \"batch\": needs cap = \"none\""),
            (smooth && !token, "smoothing: needs unit = \"token\", or write smoothing = 0.0"),
            (
                smooth && independent,
                "smoothing: needs another budget than \"bernoulli\", or write smoothing = 0.0",
            ),
            (
                independent && !matches!(self.unit, Unit::Token | Unit::Word),
                "budget = \"bernoulli\": needs unit = \"token\" or \"word\"",
            ),
            (self.repeat && !token, "repeat: needs unit = \"token\""),
            (
                self.repeat && (smooth || independent),
                "repeat: needs smoothing = 0.0 and another budget than \"bernoulli\"",
            ),
            (
                self.adapt_every > 0 && (!token || smooth || batch || self.repeat),
                "adapt_every: needs unit = \"token\", scope = \"passage\", smoothing = 0.0 and no \
                 repeat",
            ),
            (
                (1..FEWEST_STEPS).contains(&self.adapt_every),
                "adapt_every: must be 0, or at least 8 steps",
            ),
            (words && self.unit != Unit::Word, "budget_of = \"words\": needs unit = \"word\""),
        ];

        match wrong.iter().find(|(wrong, _)| *wrong) {
            Some((_, reason)) => fail(*reason),
            None => Ok(()),
        }
    }
}

impl Vocabulary {
    /// Checks what masking needs whatever the knobs are.
    fn validate(&self) -> Result<(), MaskingError> {
        let Self { size, mask, specials, counts, .. } = self;
        if *mask as usize >= *size {
            return fail(format!(
                "vocabulary: the mask token {mask} must be below the number of ids, {size}"
            ));
        }
        if (0..*size as u32).all(|id| specials.contains(&id)) {
            return fail("vocabulary: all ids are special tokens; nothing could be predicted");
        }
        if !counts.is_empty() && counts.len() != *size {
            return fail(format!(
                "vocabulary: {} counts for {size} ids; give one for each id, or none",
                counts.len()
            ));
        }
        Ok(())
    }
}

/// Refuses the value of a knob unless `holds`.
fn check(knob: &str, value: f64, holds: bool, reason: &str) -> Result<(), MaskingError> {
    if holds { Ok(()) } else { fail(format!("{knob} = {value}: {reason}")) }
}

fn fail(reason: impl Into<String>) -> Result<(), MaskingError> {
    Err(MaskingError(reason.into()))
}
