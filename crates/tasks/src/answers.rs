//! The text of an answer from the scores of windows (Devlin et al. 2019, sections 4.2 and 4.3,
//! `run_squad.py`).

use serde::Serialize;

use crate::windows::{AnswerContext, Window};

/// A window with two scores (logits) of each of its tokens.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// The window.
    pub window: &'a Window,
    /// For each position in the window, the score that the answer begins there; scores of padding
    /// behind the window are ignored.
    pub start: &'a [f32],
    /// For each position in the window, the score that the answer ends there.
    pub end: &'a [f32],
}

/// How an answer is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerConfig {
    /// The most tokens of an answer. BERT: 30.
    pub max_tokens: usize,
    /// The number of answers of different text that are kept, at least 1. BERT: 20.
    pub n_best: usize,
    /// Whether a question may have no answer.
    pub no_answer: NoAnswer,
}

impl Default for AnswerConfig {
    fn default() -> Self {
        Self { max_tokens: 30, n_best: 20, no_answer: NoAnswer::Never }
    }
}

/// Whether a question may have no answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoAnswer {
    /// Every question has an answer, as in SQuAD 1.1.
    Never,
    /// A question has no answer if the score of no answer exceeds that of the best answer by more
    /// than this threshold, as in SQuAD 2.0. 0 until a better one is chosen on development data.
    Above(f64),
}

/// A possible answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The text as written in the context; empty for no answer.
    pub text: String,
    /// Probability among the candidates of the question (softmax of the sums of both scores).
    pub probability: f64,
    /// The score of the beginning.
    pub start_logit: f32,
    /// The score of the end.
    pub end_logit: f32,
}

impl Candidate {
    fn score(&self) -> f32 {
        self.start_logit + self.end_logit
    }
}

/// The predicted answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The answer, empty for none.
    pub text: String,
    /// The best answer, also if no answer scores better; empty only for a context without tokens.
    /// The sweep over thresholds uses it.
    pub best: String,
    /// How much the score of no answer exceeds that of the best answer; `None` where every question
    /// has one.
    pub null_odds: Option<f64>,
    /// The best answers, best first; with [`NoAnswer::Above`] no answer is among them.
    pub candidates: Vec<Candidate>,
}

/// Chooses the answer to a question from the windows of its context.
///
/// A candidate is a span of the context of at most [`AnswerConfig::max_tokens`] tokens, whose first
/// token has the most context in the candidate's window. All such spans are compared, where
/// `run_squad.py` combines the 20 best beginnings with the 20 best ends. The score of no answer is
/// that of a span at the first special token, in the window where it is lowest.
///
/// # Panics
/// Without a window, or with fewer scores than tokens.
pub fn answer(
    context: &AnswerContext,
    windows: &[Scored<'_>],
    config: &AnswerConfig,
) -> Prediction {
    assert!(!windows.is_empty(), "a question has a window at least");
    let mut candidates = Vec::new();
    for scored in windows {
        collect(context, scored, config, &mut candidates);
    }

    let best = candidates.first().cloned();
    let best_text = best.as_ref().map_or_else(String::new, |best| best.text.clone());
    let (mut text, mut null_odds) = (best_text.clone(), None);
    if let NoAnswer::Above(threshold) = config.no_answer {
        let null = null(windows);
        let odds =
            best.map_or(f64::INFINITY, |best| f64::from(null.score()) - f64::from(best.score()));
        // JSON has no infinity.
        let odds = odds.min(f64::from(f32::MAX));
        if odds > threshold {
            text.clear();
        }
        null_odds = Some(odds);
        insert(&mut candidates, null);
    }

    set_probabilities(&mut candidates);
    Prediction { text, best: best_text, null_odds, candidates }
}

/// Adds the candidates of a window to those of earlier windows: best first, without duplicate
/// texts, at most [`AnswerConfig::n_best`].
fn collect(
    context: &AnswerContext,
    scored: &Scored<'_>,
    config: &AnswerConfig,
    candidates: &mut Vec<Candidate>,
) {
    let Scored { window, start, end } = scored;
    let length = window.part.len();
    for (first, _) in window.widest.iter().enumerate().filter(|(_, widest)| **widest) {
        let start_logit = start[window.first + first];
        for last in first..length.min(first + config.max_tokens) {
            let end_logit = end[window.first + last];
            let score = start_logit + end_logit;
            let full = candidates.len() >= config.n_best;
            if full && candidates.last().is_some_and(|worst| score <= worst.score()) {
                continue;
            }

            let text = context.slice(window.part.start + first, window.part.start + last);
            match candidates.iter().position(|known| known.text == text) {
                Some(known) if candidates[known].score() >= score => continue,
                Some(known) => drop(candidates.remove(known)),
                None if text.is_empty() => continue,
                None => {}
            }

            let text = text.to_owned();
            insert(candidates, Candidate { text, probability: 0.0, start_logit, end_logit });
            candidates.truncate(config.n_best);
        }
    }
}

/// Inserts a candidate behind those with the same score or a better one.
fn insert(candidates: &mut Vec<Candidate>, candidate: Candidate) {
    let position = candidates.partition_point(|known| known.score() >= candidate.score());
    candidates.insert(position, candidate);
}

/// No answer, in the window where its score is lowest.
fn null(windows: &[Scored<'_>]) -> Candidate {
    let none = |scored: &Scored<'_>| Candidate {
        text: String::new(),
        probability: 0.0,
        start_logit: scored.start[0],
        end_logit: scored.end[0],
    };

    windows
        .iter()
        .map(none)
        .min_by(|a, b| a.score().total_cmp(&b.score()))
        .expect("a question has a window at least")
}

/// Sets the probabilities: the softmax of the scores.
fn set_probabilities(candidates: &mut [Candidate]) {
    let best = candidates.iter().map(Candidate::score).fold(f32::NEG_INFINITY, f32::max);
    let weight = |candidate: &Candidate| f64::from(candidate.score() - best).exp();
    let sum: f64 = candidates.iter().map(weight).sum();

    for candidate in candidates {
        candidate.probability = weight(candidate) / sum;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use corpus::{below, keyed_rng, uniform};

    use super::*;
    use crate::layout::Layout;
    use crate::testing::wordpiece;
    use crate::windows::{WindowConfig, Windows};

    /// A context, and its windows after a question of one token: three special tokens and room for
    /// the rest.
    fn cut(text: &str, max_length: usize, step: usize) -> (AnswerContext, Vec<Window>) {
        let tokenizer = wordpiece(&["q", "a", "b", "c", "d"]);
        let context = AnswerContext::new(&tokenizer, text);
        let config = WindowConfig { max_length, step, max_question: 1 };
        let windows =
            Windows::new(&tokenizer, Layout::Bert, config).unwrap().cut("q", &context, None);
        (context, windows)
    }

    fn texts(prediction: &Prediction) -> Vec<&str> {
        prediction.candidates.iter().map(|candidate| candidate.text.as_str()).collect()
    }

    /// [CLS] q [SEP] A b É C [SEP]
    const START: [f32; 8] = [9.0, 9.0, 9.0, 1.0, 0.0, 3.0, 2.5, 9.0];
    const END: [f32; 8] = [9.0, 9.0, 9.0, 4.0, 2.0, 1.0, 3.0, 9.0];

    #[test]
    fn the_best_span_within_the_context_is_given_as_written() {
        let (context, windows) = cut("A  b É\tC", 12, 4);
        let scored = [Scored { window: &windows[0], start: &START, end: &END }];
        let config = AnswerConfig { n_best: 5, ..AnswerConfig::default() };

        let prediction = answer(&context, &scored, &config);
        // 3+3, 2.5+3, 1+4, 1+3, 3+1; the last two are level, and the one that begins first comes
        // first.
        assert_eq!(texts(&prediction), ["É\tC", "C", "A", "A  b É\tC", "É"]);
        assert_eq!((prediction.text.as_str(), prediction.null_odds), ("É\tC", None));

        let sum: f64 = prediction.candidates.iter().map(|candidate| candidate.probability).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        let ratio = prediction.candidates[0].probability / prediction.candidates[1].probability;
        assert!((ratio - 0.5_f64.exp()).abs() < 1e-6, "{ratio}");
    }

    #[test]
    fn an_answer_has_no_more_tokens_than_allowed() {
        let (context, windows) = cut("A b É C", 12, 4);
        let scored = [Scored { window: &windows[0], start: &START, end: &END }];
        let config = AnswerConfig { max_tokens: 1, ..AnswerConfig::default() };
        assert_eq!(texts(&answer(&context, &scored, &config)), ["C", "A", "É", "b"]);
    }

    #[test]
    fn a_text_that_is_there_twice_is_kept_once_with_its_better_score() {
        let (context, windows) = cut("a a", 12, 4);
        let scored = [Scored {
            window: &windows[0],
            start: &[0., 0., 0., 1., 2., 0.],
            end: &[0., 0., 0., 1., 2., 0.],
        }];
        let prediction = answer(&context, &scored, &AnswerConfig::default());
        assert_eq!(texts(&prediction), ["a", "a a"]);
        assert_eq!(prediction.candidates[0].start_logit, 2.0);
    }

    /// Two windows, [CLS] q [SEP] a b c [SEP] and [CLS] q [SEP] c d [SEP]; c is widest in the first
    /// one.
    fn two_windows(no_answer: NoAnswer) -> Prediction {
        let (context, windows) = cut("a b c d", 7, 2);
        assert_eq!(
            windows.iter().map(|window| window.part.clone()).collect::<Vec<_>>(),
            [0..3, 2..4]
        );

        let scored = [
            Scored {
                window: &windows[0],
                start: &[2., 0., 0., 1., 0., 0., 0.],
                end: &[3., 0., 0., 1., 0., 0., 0.],
            },
            Scored {
                window: &windows[1],
                start: &[1., 0., 0., 8., 0., 0.],
                end: &[3., 0., 0., 8., 1., 0.],
            },
        ];
        answer(&context, &scored, &AnswerConfig { n_best: 2, no_answer, ..AnswerConfig::default() })
    }

    #[test]
    fn scores_count_only_where_the_window_is_widest() {
        assert_eq!(texts(&two_windows(NoAnswer::Never)), ["a", "a b"]);
    }

    #[test]
    fn no_answer_scores_as_the_least_first_token_and_must_exceed_the_threshold() {
        // 4 in the second window, against 2 of the best answer.
        let given = two_windows(NoAnswer::Above(2.0));
        assert_eq!(
            (given.text.as_str(), given.best.as_str(), given.null_odds),
            ("a", "a", Some(2.0))
        );
        assert_eq!(texts(&given), ["", "a", "a b"]);
        assert_eq!((given.candidates[0].start_logit, given.candidates[0].end_logit), (1.0, 3.0));

        let refused = two_windows(NoAnswer::Above(1.9));
        assert_eq!((refused.text.as_str(), refused.best.as_str()), ("", "a"));
    }

    #[test]
    fn a_context_without_tokens_has_no_answer() {
        let (context, windows) = cut(" ", 12, 4);
        let scored = [Scored { window: &windows[0], start: &[0.; 4], end: &[0.; 4] }];
        let never = answer(&context, &scored, &AnswerConfig::default());
        assert_eq!((never.text.as_str(), never.candidates.len()), ("", 0));
        let config = AnswerConfig { no_answer: NoAnswer::Above(0.0), ..AnswerConfig::default() };
        assert_eq!(texts(&answer(&context, &scored, &config)), [""]);
    }

    /// The best score of each text of at most three tokens.
    fn best_scores(words: &[&str], scored: &[Scored<'_>]) -> BTreeMap<String, f32> {
        let mut best: BTreeMap<String, f32> = BTreeMap::new();
        for Scored { window, start, end } in scored {
            let tokens = window.part.len();
            for i in (0..tokens).filter(|i| window.widest[*i]) {
                for j in i..tokens.min(i + 3) {
                    let text = words[window.part.start + i..=window.part.start + j].join(" ");
                    let score = start[window.first + i] + end[window.first + j];

                    let known = best.entry(text).or_insert(-1.0);
                    *known = known.max(score);
                }
            }
        }
        best
    }

    #[test]
    fn the_kept_answers_are_the_best_of_all_pairs() {
        for seed in 0..200 {
            let mut rng = keyed_rng("answers", seed, 0, 0);
            let words: Vec<&str> = (0..1 + below(12, &mut rng))
                .map(|_| ["a", "b", "c", "d"][below(4, &mut rng)])
                .collect();
            let (context, windows) = cut(&words.join(" "), 8, 1 + below(4, &mut rng));
            let mut draw = |window: &Window| -> Vec<f32> {
                window.tokens.iter().map(|_| (8.0 * uniform(&mut rng)) as f32).collect()
            };
            let scores: Vec<(Vec<f32>, Vec<f32>)> =
                windows.iter().map(|window| (draw(window), draw(window))).collect();
            let scored: Vec<Scored<'_>> = windows
                .iter()
                .zip(&scores)
                .map(|(window, (start, end))| Scored { window, start, end })
                .collect();

            let mut best: Vec<f32> = best_scores(&words, &scored).into_values().collect();
            best.sort_by(|a, b| b.total_cmp(a));
            best.truncate(4);

            let config = AnswerConfig { max_tokens: 3, n_best: 4, no_answer: NoAnswer::Never };
            let candidates = answer(&context, &scored, &config).candidates;
            assert_eq!(candidates.iter().map(Candidate::score).collect::<Vec<_>>(), best);
        }
    }
}
