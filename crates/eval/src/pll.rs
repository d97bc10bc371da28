//! Pseudo-log-likelihood: each token's log-probability when it is masked, summed over a sentence.
//!
//! Salazar et al. 2020 mask one token at a time; Kauf and Ivanova 2023 also mask the later pieces
//! of the same word, so that a rare word of many pieces is not given away by its own end. Special
//! tokens are never masked nor counted.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::evaluable::Evaluable;
use crate::masked::{MaskedSequence, predict};

/// Masked copies of sentences computed together, in tokens (padding included).
const TOKENS_AT_ONCE: usize = 4096;

/// The score of a sentence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SentenceScore {
    /// Natural log, each token masked alone.
    pub pll: f64,
    /// Natural log, with the later pieces of the same word masked too.
    pub pll_l2r: f64,
    /// Tokens, special tokens not counted.
    pub tokens: usize,
    /// Words.
    pub words: usize,
}

/// One masked copy of a sentence.
struct MaskedCopy {
    sentence: usize,
    tokens: Vec<u32>,
    /// The only masked position that is predicted.
    position: [u32; 1],
    label: u32,
    /// Whether it counts for the plain score.
    in_pll: bool,
    /// Whether it counts for the within-word score.
    in_l2r: bool,
}

impl MaskedCopy {
    fn sequence(&self) -> MaskedSequence<'_> {
        MaskedSequence { tokens: &self.tokens, segments: &[], positions: &self.position }
    }
}

/// Scores sentences, in order. They are computed by length, a bounded number at a time, and of each
/// copy only the probability of the masked token is kept.
///
/// # Errors
/// When a sentence is longer than the model's positions, the model is no masked language model, or
/// the caller asks to stop.
pub fn score(model: &dyn Evaluable, sentences: &[&str]) -> Result<Vec<SentenceScore>> {
    let (tokenizer, positions) = (model.tokenizer(), model.encoder().positions);
    let (mut scores, mut copies) = (Vec::new(), Vec::new());
    for (i, sentence) in sentences.iter().enumerate() {
        let encoded = tokenizer.encode(sentence);
        let len = encoded.tokens.len();
        if len + 2 > positions {
            return Err(Error::Data(format!(
                "`{sentence}` has {len} tokens; with its two special tokens it does not fit the \
                 model's {positions} positions: shorten it"
            )));
        }

        let words = (0..len).filter(|t| *t == 0 || encoded.word_starts[*t]).count();
        scores.push(SentenceScore { pll: 0.0, pll_l2r: 0.0, tokens: len, words });
        let specials = tokenizer.specials();
        copies.extend(mask_each(i, &encoded.tokens, &encoded.word_starts, specials));
    }

    // A stable sort, so that the sums depend on nothing but the sentences.
    copies.sort_by_key(|copy| copy.tokens.len());

    let parts = split(&copies);
    let computed = model.workers().map(parts.clone(), |part| compute(model, part));
    for (part, values) in parts.into_iter().zip(computed) {
        for (copy, log_probability) in part.iter().zip(values?) {
            let score = &mut scores[copy.sentence];
            score.pll += if copy.in_pll { log_probability } else { 0.0 };
            score.pll_l2r += if copy.in_l2r { log_probability } else { 0.0 };
        }
    }
    Ok(scores)
}

/// Cuts copies, which are ordered by length, into parts of one length that are computed together.
fn split(copies: &[MaskedCopy]) -> Vec<&[MaskedCopy]> {
    let same_length = copies.chunk_by(|a, b| a.tokens.len() == b.tokens.len());
    same_length
        .flat_map(|group| group.chunks((TOKENS_AT_ONCE / group[0].tokens.len()).max(1)))
        .collect()
}

/// A copy for each token, in which it is masked alone, and where its word has later pieces another
/// copy, in which those are masked too.
fn mask_each(
    sentence: usize,
    tokens: &[u32],
    word_starts: &[bool],
    specials: corpus::Specials,
) -> Vec<MaskedCopy> {
    let mut laid = vec![specials.cls];
    laid.extend(tokens);
    laid.push(specials.sep);

    let mut copies = Vec::new();
    for (i, label) in tokens.iter().enumerate() {
        let position = i + 1;
        let masked_to = |end: usize| {
            let mut tokens = laid.clone();
            tokens[position..end].fill(specials.mask);
            MaskedCopy {
                sentence,
                tokens,
                position: [position as u32],
                label: *label,
                in_pll: false,
                in_l2r: false,
            }
        };

        let later = word_starts[i + 1..].iter().take_while(|starts| !**starts).count();
        let alone = masked_to(position + 1);
        copies.push(MaskedCopy { in_pll: true, in_l2r: later == 0, ..alone });
        if later > 0 {
            let with_rest = masked_to(position + 1 + later);
            copies.push(MaskedCopy { in_l2r: true, ..with_rest });
        }
    }
    copies
}

/// The log-probability of the masked token of each copy.
fn compute(model: &dyn Evaluable, copies: &[MaskedCopy]) -> Result<Vec<f64>> {
    model.check_interrupt()?;
    let masked: Vec<MaskedSequence<'_>> = copies.iter().map(MaskedCopy::sequence).collect();
    let labels: Vec<u32> = copies.iter().map(|copy| copy.label).collect();

    let predicted = predict(model, &masked).ok_or_else(|| {
        let name = model.objective_name();
        Error::Data(format!("a model of the objective `{name}` gives no probabilities of tokens"))
    })?;
    Ok(predicted.log_probabilities(&labels).into_data().iter::<f32>().map(f64::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_masked_alone_and_with_the_rest_of_its_word() {
        let specials = corpus::Specials { cls: 1, sep: 2, pad: 0, unk: 3, mask: 9 };
        // Two words: [10 11 12] [20].
        let copies = mask_each(5, &[10, 11, 12, 20], &[true, false, false, true], specials);

        let seen: Vec<_> = copies
            .iter()
            .map(|c| (c.tokens.clone(), c.position[0], c.label, (c.in_pll, c.in_l2r)))
            .collect();
        assert_eq!(
            seen,
            [
                (vec![1, 9, 11, 12, 20, 2], 1, 10, (true, false)),
                (vec![1, 9, 9, 9, 20, 2], 1, 10, (false, true)),
                (vec![1, 10, 9, 12, 20, 2], 2, 11, (true, false)),
                (vec![1, 10, 9, 9, 20, 2], 2, 11, (false, true)),
                (vec![1, 10, 11, 9, 20, 2], 3, 12, (true, true)),
                (vec![1, 10, 11, 12, 9, 2], 4, 20, (true, true)),
            ]
        );
    }
}
