//! From annotated byte ranges of a paragraph to the tokens of the words they touch.

use std::ops::Range;

use crate::tokenizer::{Encoded, Tokenizer};

/// The spans of a paragraph as ranges of its tokens.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TokenSpans {
    /// Ascending and disjoint.
    pub ranges: Vec<Range<u32>>,
    /// Number of spans that touch no token.
    pub dropped: u64,
}

/// The tokens of the words that each of `spans` (byte ranges of `text`, ascending and disjoint)
/// touches. Spans that share a word become one. `encoded` is `text` as tokenised by `tokenizer`.
pub fn token_spans(
    tokenizer: &Tokenizer,
    text: &str,
    encoded: &Encoded,
    spans: &[Range<usize>],
) -> TokenSpans {
    let mut result = TokenSpans::default();
    // Offsets cost as much as the tokens, and most paragraphs may have no span.
    if spans.is_empty() {
        return result;
    }

    let (_, offsets) = tokenizer.encode_offsets(text);
    for span in spans {
        match (touched(&offsets, &encoded.word_starts, span), result.ranges.last_mut()) {
            (None, _) => result.dropped += 1,
            (Some(range), Some(last)) if range.start < last.end => last.end = range.end,
            (Some(range), _) => result.ranges.push(range),
        }
    }
    result
}

/// The tokens of the words that `span` overlaps, or `None` if it overlaps no token.
fn touched(
    offsets: &[Range<usize>],
    word_starts: &[bool],
    span: &Range<usize>,
) -> Option<Range<u32>> {
    // Starts and ends of tokens ascend. A token of white space has an empty range.
    let from = offsets.partition_point(|token| token.end <= span.start);
    let to = offsets.partition_point(|token| token.start < span.end);
    let mut inside = (from..to).filter(|token| !offsets[*token].is_empty());
    let first = inside.next()?;
    let last = inside.next_back().unwrap_or(first);

    let start = (0..=first).rev().find(|token| word_starts[*token]).unwrap_or(0);
    let end = (last + 1..offsets.len()).find(|token| word_starts[*token]).unwrap_or(offsets.len());
    Some(start as u32..end as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_covers_the_words_it_touches() {
        // "the cats, 東京": the | cat ##s | , | 東 | 京
        let offsets = [0..3, 4..7, 7..8, 8..9, 10..13, 13..16];
        let words = [true, true, false, true, true, true];
        let words_of = |span: Range<usize>| touched(&offsets, &words, &span);

        assert_eq!(words_of(4..8), Some(1..3));
        assert_eq!(words_of(4..5), Some(1..3), "the beginning of a word");
        assert_eq!(words_of(7..8), Some(1..3), "its end");
        assert_eq!(words_of(2..6), Some(0..3), "parts of two words");
        assert_eq!(words_of(3..4), None, "between two words");
        assert_eq!(words_of(10..13), Some(4..5));
        assert_eq!(words_of(0..16), Some(0..6));
        assert_eq!(words_of(20..25), None, "what the tokenizer leaves out");
    }

    #[test]
    fn a_token_of_white_space_belongs_to_the_word_it_begins() {
        // "a b" of a Unigram model: \u{2581}a | \u{2581} | b
        let (offsets, words) = ([0..1, 2..2, 2..3], [true, true, false]);
        assert_eq!(touched(&offsets, &words, &(2..3)), Some(1..3));
        assert_eq!(touched(&offsets, &words, &(0..1)), Some(0..1));
    }
}
