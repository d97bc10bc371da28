//! The values a knob can take.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// How the rate of masking changes over the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateSchedule {
    /// In a line.
    #[default]
    Linear,
    /// By half a cosine.
    Cosine,
}

/// A published masker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// google-research/bert, `create_pretraining_data.py`.
    #[default]
    Bert,
    /// The same with `do_whole_word_mask`.
    BertWholeWord,
    /// fairseq, `data/mask_tokens_dataset.py`: special tokens are masked too.
    Roberta,
    /// The same with `mask_whole_words`: the budget counts words.
    RobertaWholeWord,
    /// google-research/albert, `create_pretraining_data.py`: n-grams of words.
    Albert,
    /// transformers' `distillation/distiller.py`: rare tokens preferred, one budget for the whole
    /// batch.
    Distilbert,
    /// transformers, `DataCollatorForLanguageModeling`: each token independently.
    Huggingface,
    /// transformers, `DataCollatorForWholeWordMask`: as BERT's, with at most 512 targets.
    HuggingfaceWholeWord,
    /// google-research/electra, `pretrain/pretrain_helpers.py`: mask or keep, never a random token.
    /// Its code draws positions with replacement; `repeat = true` does that too.
    Electra,
    /// SpanBERT, `data/masking.py` as its paper uses it: spans of words, an exact budget, a
    /// replacement for each span.
    Spanbert,
    /// PMI-Masking (Levine et al. 2021; AI21Labs/pmi-masking, README, section 2): n-grams that
    /// belong together are masked together; other words as in `bert-whole-word`.
    Pmi,
}

/// What is chosen at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A token.
    Token,
    /// A word; one that does not fit the rest of the budget is passed over.
    Word,
    /// One to `ngram_max` words with p(n) proportional to 1/n; one that does not fit is shortened,
    /// then passed over.
    Ngram,
    /// Words up to a geometric length, from the start of the word that a random token is in; cut
    /// where the budget ends, so that the budget is met to the token.
    Span,
    /// The longest n-gram of `corpus.ngrams`, or a word in none; of n-grams that overlap, one at
    /// random. One that does not fit the rest of the budget is passed over.
    Pmi,
    /// Half of the time a span that the text's annotation names, such as an entity or a noun
    /// phrase, half of the time a word, as SpanBERT's paper says (its code: a geometric span);
    /// needs corpus.annotations = "spans".
    Annotated,
}

/// How many are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// max(1, rate * n), halves rounded to even as Python and TensorFlow do; n counts special
    /// tokens.
    HalfEven,
    /// rate * n rounded up; n counts the tokens that may be chosen, with the scope batch all real
    /// tokens.
    Ceiling,
    /// floor(rate * n + U) with U uniform in [0, 1): rate * n on average, so none by chance where n
    /// < 1 / rate; n counts special tokens.
    Probabilistic,
    /// Every token or word independently with probability rate; by chance none.
    Bernoulli,
}

/// What the budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetOf {
    /// Tokens.
    Tokens,
    /// Words that may be chosen, so that none is passed over (fairseq).
    Words,
}

/// Where the budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Each sequence has its own.
    Passage,
    /// One for the whole batch (DistilBERT). Masks then depend on which sequences stand together,
    /// and a sequence may get no target.
    Batch,
}

/// Most targets of a sequence: `"none"`, `"advised"`, `"slots"` or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// As many as the budget says.
    None,
    /// rate * maximum length, rounded up: 20 at 128, 77 at 512, as BERT's README advises.
    Advised,
    /// (rate + 0.005) * maximum length, rounded down: 19 at 128, 79 at 512 (ELECTRA's
    /// `max_predictions_per_seq`).
    Slots,
    /// This many, at least 1. ALBERT's own data: 20 at length 512, which is 3.9 % and not 15 %.
    At(usize),
}

/// Which tokens may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Eligible {
    /// All but special tokens; the unknown token, which stands for a piece of text, may be.
    Content,
    /// All but special tokens and the unknown token (Hugging Face, DistilBERT).
    Known,
    /// All, special tokens too (fairseq).
    All,
}

/// How often it is drawn whether a mask, a random token or the original stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrawPer {
    /// For each token.
    Token,
    /// For each unit; spans that overlap or touch are one. Random tokens are drawn one by one all
    /// the same.
    Unit,
}

/// Where random tokens come from. One may be the original by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RandomTokens {
    /// Every id alike, special tokens included (BERT, Hugging Face).
    Vocabulary,
    /// Every id alike but special tokens.
    Content,
    /// Every id alike but the first four (fairseq); the mask token may be among them.
    AfterSpecials,
    /// As often as in the training text (SpanBERT).
    Unigram,
}

impl Serialize for Cap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::Advised => serializer.serialize_str("advised"),
            Self::Slots => serializer.serialize_str("slots"),
            Self::At(count) => serializer.serialize_u64(*count as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Cap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CapVisitor)
    }
}

struct CapVisitor;

impl Visitor<'_> for CapVisitor {
    type Value = Cap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"none\", \"advised\", \"slots\" or a number of targets")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cap, E> {
        match text {
            "none" => Ok(Cap::None),
            "advised" => Ok(Cap::Advised),
            "slots" => Ok(Cap::Slots),
            _ => {
                Err(E::unknown_variant(text, &["none", "advised", "slots", "a number of targets"]))
            }
        }
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Cap, E> {
        Ok(Cap::At(count as usize))
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<Cap, E> {
        let count = u64::try_from(count).map_err(|_| {
            E::custom("cap: write \"none\", \"advised\", \"slots\" or a number above 0")
        })?;
        self.visit_u64(count)
    }
}
