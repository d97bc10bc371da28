//! The knobs in which published maskers differ, and the families that set them.

use objective::TokenWeighting;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::error::MaskingError;
use super::knobs::{
    Budget, BudgetOf, Cap, DrawPer, Eligible, Family, RandomTokens, RateSchedule, Scope, Unit,
};

/// All knobs of a masker. In TOML `family = "..."` (`"bert"` if not given) sets every knob as that
/// family does, and any knob beside it overrides. It is written with every knob, and what is
/// written reads back as the same value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Partial")]
pub struct Masking {
    /// The family whose values were the starting point.
    pub family: Family,
    /// What is chosen at once.
    pub unit: Unit,
    /// Share of tokens (or words) that is chosen, above 0 and below 1. All families: 0.15.
    pub rate: f64,
    /// The rate at the end of the budget, where it changes over it; 0: it does not. GPT-BERT: from
    /// 0.3 to 0.15.
    pub final_rate: f64,
    /// How the rate goes from `rate` to `final_rate`.
    pub rate_schedule: RateSchedule,
    /// Steps between two updates of how often each token is chosen: the less often it is predicted
    /// right, the more; 0: all alike. AMLM: 200. Only for single tokens.
    pub adapt_every: u64,
    /// Draw positions with replacement: one that is drawn twice counts twice (ELECTRA's code). Only
    /// for single tokens.
    pub repeat: bool,
    /// How many are chosen.
    pub budget: Budget,
    /// What the budget counts.
    pub budget_of: BudgetOf,
    /// Where the budget is spent.
    pub scope: Scope,
    /// Most targets of a sequence, in tokens.
    pub cap: Cap,
    /// Which tokens may be chosen.
    pub eligible: Eligible,
    /// Share of targets that the mask token replaces. All families: 0.8.
    pub mask: f64,
    /// Share of targets that a random token replaces; the rest is kept. All families: 0.1.
    pub random: f64,
    /// How often the replacement is drawn.
    pub draw_per: DrawPer,
    /// Where random tokens come from.
    pub random_tokens: RandomTokens,
    /// Tokens are chosen with weight max(count, 1)^-smoothing, which prefers rare ones. 0: all
    /// alike. DistilBERT: 0.7. Only for single tokens.
    pub smoothing: f64,
    /// Most words of an n-gram. ALBERT: 3.
    pub ngram_max: usize,
    /// Most words of a span. SpanBERT: 10.
    pub span_max: usize,
    /// Parameter of the geometric distribution of span lengths, cut at `span_max` and renormalised.
    /// SpanBERT: 0.2.
    pub span_p: f64,
}

impl Default for Masking {
    fn default() -> Self {
        Self::of(Family::Bert)
    }
}

impl Masking {
    /// Reads knobs as they are written in TOML, but starting from `family` where none is named.
    ///
    /// # Errors
    /// Those of the format, and knobs that do not fit together.
    pub fn deserialize_from<'de, D: Deserializer<'de>>(
        family: Family,
        deserializer: D,
    ) -> Result<Self, D::Error> {
        Partial::deserialize(deserializer)?.complete(family).map_err(D::Error::custom)
    }

    /// How the choice of tokens follows the outcomes of training; none where it does not. Authors'
    /// weights are rates of at least 0.005.
    pub fn token_weighting(&self) -> Option<TokenWeighting> {
        let every = self.adapt_every;
        (every > 0).then(|| TokenWeighting { every, floor: 0.005 / self.rate })
    }

    /// The rate when the share `progress` of the budget is spent.
    pub fn rate_at(&self, progress: f64) -> f64 {
        if self.final_rate == 0.0 {
            return self.rate;
        }
        let left = match self.rate_schedule {
            RateSchedule::Linear => 1.0 - progress,
            RateSchedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        self.final_rate + (self.rate - self.final_rate) * left
    }

    /// The knobs of a family.
    pub fn of(family: Family) -> Self {
        let bert = Self::bert(family);

        match family {
            Family::Bert => bert,
            Family::BertWholeWord => Self { unit: Unit::Word, ..bert },
            Family::Roberta => Self::roberta(bert),
            Family::RobertaWholeWord => Self {
                unit: Unit::Word,
                budget_of: BudgetOf::Words,
                draw_per: DrawPer::Unit,
                ..Self::roberta(bert)
            },
            Family::Albert => Self { unit: Unit::Ngram, ..bert },
            Family::Distilbert => Self::distilbert(bert),
            Family::Huggingface => Self {
                budget: Budget::Bernoulli,
                cap: Cap::None,
                eligible: Eligible::Known,
                ..bert
            },
            Family::HuggingfaceWholeWord => Self { unit: Unit::Word, cap: Cap::At(512), ..bert },
            Family::Electra => Self { cap: Cap::Slots, mask: 0.85, random: 0.0, ..bert },
            Family::Spanbert => Self::spanbert(bert),
            Family::Pmi => Self { unit: Unit::Pmi, draw_per: DrawPer::Unit, ..bert },
        }
    }

    /// The knobs of BERT, from which those of every family start.
    fn bert(family: Family) -> Self {
        Self {
            family,
            unit: Unit::Token,
            rate: 0.15,
            final_rate: 0.0,
            rate_schedule: RateSchedule::Linear,
            adapt_every: 0,
            repeat: false,
            budget: Budget::HalfEven,
            budget_of: BudgetOf::Tokens,
            scope: Scope::Passage,
            cap: Cap::Advised,
            eligible: Eligible::Content,
            mask: 0.8,
            random: 0.1,
            draw_per: DrawPer::Token,
            random_tokens: RandomTokens::Vocabulary,
            smoothing: 0.0,
            ngram_max: 3,
            span_max: 10,
            span_p: 0.2,
        }
    }

    fn roberta(bert: Self) -> Self {
        Self {
            budget: Budget::Probabilistic,
            cap: Cap::None,
            eligible: Eligible::All,
            random_tokens: RandomTokens::AfterSpecials,
            ..bert
        }
    }

    fn distilbert(bert: Self) -> Self {
        Self {
            budget: Budget::Ceiling,
            scope: Scope::Batch,
            cap: Cap::None,
            eligible: Eligible::Known,
            smoothing: 0.7,
            ..bert
        }
    }

    fn spanbert(bert: Self) -> Self {
        Self {
            unit: Unit::Span,
            budget: Budget::Ceiling,
            cap: Cap::None,
            draw_per: DrawPer::Unit,
            random_tokens: RandomTokens::Unigram,
            ..bert
        }
    }
}

/// What a user writes: a family, and the knobs that differ from it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Partial {
    family: Option<Family>,
    unit: Option<Unit>,
    rate: Option<f64>,
    final_rate: Option<f64>,
    rate_schedule: Option<RateSchedule>,
    adapt_every: Option<u64>,
    repeat: Option<bool>,
    budget: Option<Budget>,
    budget_of: Option<BudgetOf>,
    scope: Option<Scope>,
    cap: Option<Cap>,
    eligible: Option<Eligible>,
    mask: Option<f64>,
    random: Option<f64>,
    draw_per: Option<DrawPer>,
    random_tokens: Option<RandomTokens>,
    smoothing: Option<f64>,
    ngram_max: Option<usize>,
    span_max: Option<usize>,
    span_p: Option<f64>,
}

impl TryFrom<Partial> for Masking {
    type Error = MaskingError;

    fn try_from(partial: Partial) -> Result<Self, MaskingError> {
        partial.complete(Family::default())
    }
}

impl Partial {
    fn complete(self, family: Family) -> Result<Masking, MaskingError> {
        let family = Masking::of(self.family.unwrap_or(family));
        let masking = Masking {
            family: family.family,
            unit: self.unit.unwrap_or(family.unit),
            rate: self.rate.unwrap_or(family.rate),
            final_rate: self.final_rate.unwrap_or(family.final_rate),
            rate_schedule: self.rate_schedule.unwrap_or(family.rate_schedule),
            adapt_every: self.adapt_every.unwrap_or(family.adapt_every),
            repeat: self.repeat.unwrap_or(family.repeat),
            budget: self.budget.unwrap_or(family.budget),
            budget_of: self.budget_of.unwrap_or(family.budget_of),
            scope: self.scope.unwrap_or(family.scope),
            cap: self.cap.unwrap_or(family.cap),
            eligible: self.eligible.unwrap_or(family.eligible),
            mask: self.mask.unwrap_or(family.mask),
            random: self.random.unwrap_or(family.random),
            draw_per: self.draw_per.unwrap_or(family.draw_per),
            random_tokens: self.random_tokens.unwrap_or(family.random_tokens),
            smoothing: self.smoothing.unwrap_or(family.smoothing),
            ngram_max: self.ngram_max.unwrap_or(family.ngram_max),
            span_max: self.span_max.unwrap_or(family.span_max),
            span_p: self.span_p.unwrap_or(family.span_p),
        };

        masking.validate()?;
        Ok(masking)
    }
}
