//! Windows onto a context that is too long for the encoder, each with the question (Devlin et al.
//! 2019, `run_squad.py`).

use std::ops::Range;

use corpus::Tokenizer;

use crate::error::{Error, Result};
use crate::layout::Layout;

/// How windows are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowConfig {
    /// The most tokens of a window, special tokens included. BERT: 384.
    pub max_length: usize,
    /// The number of context tokens between the beginnings of two windows: `doc_stride` of BERT's
    /// `run_squad.py`, 128. (The `stride` of Hugging Face's tokenizers is the overlap of two
    /// windows instead.) A longer step than the context in a window is reduced to it, so that no
    /// token is left out.
    pub step: usize,
    /// The most tokens of the question, whose end is cut off. BERT: 64.
    pub max_question: usize,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self { max_length: 384, step: 128, max_question: 64 }
    }
}

/// A context and its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerContext {
    text: String,
    tokens: Vec<u32>,
    /// The bytes of each token in the text.
    ranges: Vec<Range<usize>>,
}

impl AnswerContext {
    /// Tokenises a context, once for all of its questions.
    pub fn new(tokenizer: &Tokenizer, text: impl Into<String>) -> Self {
        let text = text.into();
        let (tokens, ranges) = tokenizer.encode_offsets(&text);
        Self { text, tokens, ranges }
    }

    /// The text from token `first` to token `last`, both included, as written, without white space
    /// at its ends.
    ///
    /// # Panics
    /// When there are no such tokens, or the last is before the first.
    pub fn slice(&self, first: usize, last: usize) -> &str {
        self.text[self.ranges[first].start..self.ranges[last].end].trim()
    }

    /// The first and the last token of a range of bytes; `None` when no token is in the range.
    fn tokens_of(&self, bytes: &Range<usize>) -> Option<(usize, usize)> {
        let touches = |token: &usize| !self.ranges[*token].is_empty();
        let from = self.ranges.partition_point(|range| range.end <= bytes.start);
        let to = self.ranges.partition_point(|range| range.start < bytes.end);
        let first = (from..to).find(touches)?;
        let last = (from..to).rev().find(touches)?;
        Some((first, last))
    }
}

/// A question with a part of its context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Token ids: the question, then the part of the context.
    pub tokens: Vec<u32>,
    /// Segment of each token.
    pub segments: Vec<u32>,
    /// The position in `tokens` of the part's first token.
    pub first: usize,
    /// The tokens of the context in this window; empty for a context without tokens.
    pub part: Range<usize>,
    /// For each token of the part, whether this is the window with the most context around it: the
    /// scores of the token count in this window only.
    pub widest: Vec<bool>,
    /// The positions in `tokens` of the first and the last token of the answer. Both are 0, the
    /// first special token, if the answer is not wholly in this window or there is none.
    pub target: (usize, usize),
}

/// Cuts windows.
#[derive(Clone, Debug)]
pub struct Windows<'a> {
    tokenizer: &'a Tokenizer,
    layout: Layout,
    config: WindowConfig,
}

impl<'a> Windows<'a> {
    /// Windows for a family of encoders.
    ///
    /// # Errors
    /// When the step is 0 or the longest question leaves a window no room for the context.
    pub fn new(tokenizer: &'a Tokenizer, layout: Layout, config: WindowConfig) -> Result<Self> {
        let least = config.max_question + layout.specials() + 1;
        if config.max_length < least {
            let WindowConfig { max_length, max_question, .. } = config;
            return Err(Error::data(format!(
                "windows of {max_length} tokens have no room for a context after a question of \
                 {max_question}; write --max-length {least} at least, or cut questions shorter \
                 with data.max_question"
            )));
        }

        if config.step == 0 {
            return Err(Error::data(
                "the step between windows is 0; write 1 at least, such as 128",
            ));
        }
        Ok(Self { tokenizer, layout, config })
    }

    /// The windows of a question, at least one. The answer is a range of bytes of the context.
    pub fn cut(
        &self,
        question: &str,
        context: &AnswerContext,
        answer: Option<&Range<usize>>,
    ) -> Vec<Window> {
        let mut question = self.tokenizer.encode(question.trim()).tokens;
        question.truncate(self.config.max_question);
        let room = self.config.max_length - question.len() - self.layout.specials();
        let parts = parts(context.tokens.len(), room, self.config.step);

        let answer = answer.and_then(|bytes| context.tokens_of(bytes));
        let specials = self.tokenizer.specials();
        let window = |(number, part): (usize, &Range<usize>)| {
            let joined = self.layout.join(&specials, &question, &context.tokens[part.clone()]);

            let position = |token: usize| joined.second + token - part.start;
            let target = match answer {
                Some((first, last)) if part.contains(&first) && part.contains(&last) => {
                    (position(first), position(last))
                }
                _ => (0, 0),
            };
            let widest = part.clone().map(|token| widest(&parts, token) == number).collect();

            Window {
                first: joined.second,
                tokens: joined.tokens,
                segments: joined.segments,
                part: part.clone(),
                widest,
                target,
            }
        };

        parts.iter().enumerate().map(window).collect()
    }
}

/// The parts of a context that windows show; the last one reaches its end.
fn parts(tokens: usize, room: usize, step: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    loop {
        let end = tokens.min(start + room);
        parts.push(start..end);
        if end == tokens {
            return parts;
        }
        start += step.min(room);
    }
}

/// The index of the part with the most context around a token, the first of equal ones. The measure
/// is the smaller of the numbers of tokens on its left and on its right, plus a hundredth of the
/// part's length (`_check_is_max_context` in BERT's `run_squad.py`).
fn widest(parts: &[Range<usize>], token: usize) -> usize {
    let score =
        |part: &Range<usize>| 100 * (token - part.start).min(part.end - 1 - token) + part.len();
    let shown = parts.iter().enumerate().filter(|(_, part)| part.contains(&token));
    // `max_by_key` takes the last of equal parts, hence the reversed order.
    shown.rev().max_by_key(|(_, part)| score(part)).map_or(0, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use corpus::{below, keyed_rng};

    use super::*;
    use crate::testing::wordpiece;

    fn tokenizer() -> Tokenizer {
        wordpiece(&["who", "?", "a", "b", "c", "d", "e", "##e", "(", ")"])
    }

    fn config(max_length: usize, step: usize, max_question: usize) -> WindowConfig {
        WindowConfig { max_length, step, max_question }
    }

    #[test]
    fn a_short_context_is_one_window() {
        let tokenizer = tokenizer();
        let context = AnswerContext::new(&tokenizer, "A (bé) c");
        let windows = Windows::new(&tokenizer, Layout::Bert, config(20, 5, 4)).unwrap();
        let cut = windows.cut(" Who?", &context, Some(&(8..9)));
        assert_eq!(cut.len(), 1);

        let spelt: Vec<_> = cut[0].tokens.iter().map(|id| tokenizer.token(*id).unwrap()).collect();
        assert_eq!(spelt, ["[CLS]", "who", "?", "[SEP]", "a", "(", "b", "##e", ")", "c", "[SEP]"]);
        assert_eq!(cut[0].segments, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!((cut[0].first, cut[0].part.clone(), cut[0].target), (4, 0..6, (9, 9)));
        assert!(cut[0].widest.iter().all(|widest| *widest));
        assert_eq!(context.slice(1, 4), "(bé)");
    }

    #[test]
    fn windows_overlap_by_what_the_step_leaves() {
        assert_eq!(parts(10, 4, 2), [0..4, 2..6, 4..8, 6..10]);
        assert_eq!(parts(9, 4, 3), [0..4, 3..7, 6..9]);
        assert_eq!(parts(4, 4, 1), vec![0..4; 1]);
        assert_eq!(parts(5, 4, 100), [0..4, 4..5]);
        assert_eq!(parts(0, 4, 2), vec![0..0; 1]);
    }

    #[test]
    fn a_token_counts_where_most_is_around_it() {
        let parts = parts(10, 6, 3);
        assert_eq!(parts, [0..6, 3..9, 6..10]);
        // On its shorter side, token 3 has 2 tokens in part 0 and none in part 1; token 4 has one
        // in both, so the first part is taken; token 5 has none in part 0 and 2 in part 1.
        let found: Vec<_> = (0..10).map(|token| widest(&parts, token)).collect();
        assert_eq!(found, [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn an_answer_that_is_not_wholly_in_a_window_is_at_the_first_token() {
        let tokenizer = tokenizer();
        let context = AnswerContext::new(&tokenizer, "a b c d e");
        let windows = Windows::new(&tokenizer, Layout::Roberta, config(9, 2, 2)).unwrap();
        // `<s> who ? </s></s>` leaves room for three tokens: a b c, c d e.
        let targets = |bytes| -> Vec<_> {
            windows.cut("Who?", &context, bytes).into_iter().map(|window| window.target).collect()
        };
        assert_eq!(targets(Some(&(4..7))), [(0, 0), (5, 6)]);
        assert_eq!(targets(Some(&(2..7))), [(0, 0), (0, 0)]);
        assert_eq!(targets(Some(&(4..5))), [(7, 7), (5, 5)]);
        assert_eq!(targets(None), [(0, 0), (0, 0)]);
    }

    #[test]
    fn an_answer_inside_a_word_is_its_tokens() {
        let tokenizer = tokenizer();
        let context = AnswerContext::new(&tokenizer, "a eee \u{200b} c");
        assert_eq!(context.tokens_of(&(3..4)), Some((2, 2)));
        assert_eq!(context.tokens_of(&(0..3)), Some((0, 1)));
        assert_eq!(context.tokens_of(&(6..9)), None);
    }

    #[test]
    fn a_long_question_is_cut_and_an_empty_context_is_a_window() {
        let tokenizer = tokenizer();
        let windows = Windows::new(&tokenizer, Layout::Bert, config(9, 2, 3)).unwrap();
        let cut = windows.cut("a b c d e", &AnswerContext::new(&tokenizer, " "), None);
        assert_eq!(cut.len(), 1);
        assert_eq!((cut[0].tokens.len(), cut[0].first, cut[0].part.clone()), (6, 5, 0..0));
    }

    #[test]
    fn windows_without_room_are_refused() {
        let tokenizer = tokenizer();
        let refused =
            |config| Windows::new(&tokenizer, Layout::Bert, config).unwrap_err().to_string();
        assert_eq!(
            refused(config(67, 128, 64)),
            "windows of 67 tokens have no room for a context after a question of 64; write \
             --max-length 68 at least, or cut questions shorter with data.max_question"
        );
        assert!(refused(config(68, 0, 64)).starts_with("the step between windows is 0"));
    }

    #[test]
    fn every_token_is_shown_and_counts_once() {
        for seed in 0..500 {
            let mut rng = keyed_rng("windows", seed, 0, 0);
            let (tokens, room, step) =
                (below(60, &mut rng), 1 + below(20, &mut rng), 1 + below(30, &mut rng));
            let parts = parts(tokens, room, step);

            for token in 0..tokens {
                assert!(parts[widest(&parts, token)].contains(&token));
            }
            assert!(parts.iter().all(|part| part.len() <= room));
            assert_eq!(parts.last().unwrap().end, tokens);
            assert!(parts.iter().rev().skip(1).all(|part| part.end < tokens));
        }
    }
}
