//! Whether knobs fit together and to a vocabulary.

use super::config::Masking;
use super::error::MaskingError;
use super::knobs::{Budget, BudgetOf, Cap, RandomTokens, Scope, Unit};
use super::vocabulary::Vocabulary;

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
        let Vocabulary { size, mask, specials, counts, .. } = vocabulary;
        if *mask as usize >= *size {
            return fail(format!(
                "vocabulary: the mask token {mask} must be below the number of ids, {size}"
            ));
        }
        if (0..*size as u32).all(|id| specials.contains(&id)) {
            return fail(
                "vocabulary: all ids are special tokens; nothing could be predicted".to_owned(),
            );
        }
        if !counts.is_empty() && counts.len() != *size {
            return fail(format!(
                "vocabulary: {} counts for {size} ids; give one for each id, or none",
                counts.len()
            ));
        }
        let counted = counts.iter().any(|count| *count > 0);
        if self.random_tokens == RandomTokens::Unigram && !counted {
            let instead =
                "write random_tokens = \"vocabulary\" or train on a corpus that is counted";
            return fail(format!(
                "random_tokens = \"unigram\": needs the token counts of the training text; {instead}"
            ));
        }
        if self.random_tokens == RandomTokens::AfterSpecials && *size <= 4 {
            return fail("random_tokens = \"after-specials\": needs more than four ids".to_owned());
        }
        if self.smoothing > 0.0 && !counted {
            let instead = "write smoothing = 0.0 or train on a corpus that is counted";
            return fail(format!(
                "smoothing = {}: needs the token counts of the training text; {instead}",
                self.smoothing
            ));
        }
        Ok(())
    }

    fn check_values(&self) -> Result<(), MaskingError> {
        let share = 0.0..=1.0;
        let lengths = 1..=1000;
        let inside = |value: f64| value > 0.0 && value < 1.0;
        let checks = [
            (inside(self.rate), "rate", self.rate, "must be above 0 and below 1"),
            (share.contains(&self.mask), "mask", self.mask, "must be between 0 and 1"),
            (share.contains(&self.random), "random", self.random, "must be between 0 and 1"),
            // 0.9 + 0.1 and the like may be off in the last bit.
            (
                self.mask + self.random <= 1.0 + 1e-9,
                "random",
                self.random,
                "with mask it must not exceed 1",
            ),
            (
                (0.0..=10.0).contains(&self.smoothing),
                "smoothing",
                self.smoothing,
                "must be between 0 and 10",
            ),
            (inside(self.span_p), "span_p", self.span_p, "must be above 0 and below 1"),
            (
                lengths.contains(&self.ngram_max),
                "ngram_max",
                self.ngram_max as f64,
                "must be between 1 and 1000",
            ),
            (
                lengths.contains(&self.span_max),
                "span_max",
                self.span_max as f64,
                "must be between 1 and 1000",
            ),
            (self.cap != Cap::At(0), "cap", 0.0, "must be at least 1, or \"none\""),
        ];
        match checks.iter().find(|(good, ..)| !good) {
            Some((_, knob, value, reason)) => fail(format!("{knob} = {value}: {reason}")),
            None => Ok(()),
        }
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
            (words && self.unit != Unit::Word, "budget_of = \"words\": needs unit = \"word\""),
        ];
        match wrong.iter().find(|(wrong, _)| *wrong) {
            Some((_, reason)) => fail((*reason).to_owned()),
            None => Ok(()),
        }
    }
}

fn fail(reason: String) -> Result<(), MaskingError> {
    Err(MaskingError(reason))
}
