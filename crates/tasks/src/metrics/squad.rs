//! Exact match and F1 of answers, as the official scripts of SQuAD 1.1 and 2.0 count them.

use std::collections::{BTreeMap, HashMap};

use super::normal::{normalize, words};
use crate::squad::Question;

/// Which of the official scripts is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// `evaluate-v1.1.py`: every question has an answer.
    One,
    /// `evaluate-v2.0.py`: the right answer to a question without one is the empty text.
    Two,
}

/// The scores of a set of questions, from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Exact match: the percentage of answers that equal one of the gold answers.
    pub exact: f64,
    /// F1: the mean overlap of words with the most similar gold answer, in percent.
    pub f1: f64,
    /// The number of questions.
    pub total: usize,
}

/// The scores of predictions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquadScores {
    /// The scores of all questions.
    pub all: Share,
    /// The scores of questions with an answer, under [`Rules::Two`]; none without such questions.
    pub has_answer: Option<Share>,
    /// The scores of questions without an answer, under [`Rules::Two`]; none without such
    /// questions.
    pub no_answer: Option<Share>,
    /// The number of questions without a prediction. Each scores 0, as in the script of 1.1; that
    /// of 2.0 refuses them.
    pub missing: usize,
}

/// Scores predictions, by the questions' ids.
///
/// # Panics
/// Without questions.
pub fn squad(
    questions: &[&Question],
    predictions: &BTreeMap<String, String>,
    rules: Rules,
) -> SquadScores {
    assert!(!questions.is_empty(), "questions to measure");
    let share = |keep: fn(&Question) -> bool| {
        let kept = questions.iter().filter(|question| keep(question));
        let points = kept.map(|question| match predictions.get(&question.id) {
            Some(predicted) => points(question, predicted, rules),
            None => Points::default(),
        });
        Share::of(&points.collect::<Vec<_>>())
    };
    let part = |keep| if rules == Rules::Two { share(keep) } else { None };

    let missing = questions.iter().filter(|question| !predictions.contains_key(&question.id));
    SquadScores {
        all: share(|_| true).expect("questions to measure"),
        has_answer: part(has_answer),
        no_answer: part(|question| !has_answer(question)),
        missing: missing.count(),
    }
}

/// Exact match and F1 of an answer, from 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Points {
    pub exact: f64,
    pub f1: f64,
}

impl Share {
    /// The means over the points of some questions; none without questions.
    fn of(points: &[Points]) -> Option<Self> {
        let mean = |metric: fn(&Points) -> f64| {
            100.0 * points.iter().map(metric).sum::<f64>() / points.len() as f64
        };
        (!points.is_empty()).then(|| Self {
            exact: mean(|points| points.exact),
            f1: mean(|points| points.f1),
            total: points.len(),
        })
    }
}

/// 1 where both answers are equal after [`normalize`], else 0.
pub fn exact_match(predicted: &str, gold: &str) -> f64 {
    f64::from(u8::from(normalize(predicted) == normalize(gold)))
}

/// F1 of the words that two answers share after [`normalize`], counted as often as both have them;
/// 0 where they share none. If one answer is empty, the script of 2.0 scores 1 when both are empty,
/// else 0; that of 1.1 has no such case.
pub fn word_f1(predicted: &str, gold: &str, rules: Rules) -> f64 {
    let (predicted, gold) = (words(predicted), words(gold));
    if rules == Rules::Two && (predicted.is_empty() || gold.is_empty()) {
        return f64::from(u8::from(predicted == gold));
    }

    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in &gold {
        *left.entry(word).or_default() += 1;
    }

    let mut shared = 0;
    for word in &predicted {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    if shared == 0 {
        return 0.0;
    }

    let precision = f64::from(shared) / predicted.len() as f64;
    let recall = f64::from(shared) / gold.len() as f64;
    2.0 * precision * recall / (precision + recall)
}

/// Exact match and F1 of a prediction, each the maximum over the gold answers. Under [`Rules::Two`]
/// gold answers of only articles and punctuation are ignored.
pub(super) fn points(question: &Question, predicted: &str, rules: Rules) -> Points {
    let mut golds: Vec<&str> = question.answers.iter().map(|answer| answer.text.as_str()).collect();
    if rules == Rules::Two {
        golds.retain(|gold| !words(gold).is_empty());
        if golds.is_empty() {
            golds.push("");
        }
    }

    let exact = golds.iter().map(|gold| exact_match(predicted, gold));
    let f1 = golds.iter().map(|gold| word_f1(predicted, gold, rules));
    Points { exact: exact.fold(0.0, f64::max), f1: f1.fold(0.0, f64::max) }
}

/// Whether annotators gave an answer.
pub(super) fn has_answer(question: &Question) -> bool {
    !question.answers.is_empty()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::squad::Answer;

    /// A question with these answers.
    pub fn question(id: &str, answers: &[&str]) -> Question {
        let answer = |text: &&str| Answer { text: (*text).to_owned(), range: None };
        let answers: Vec<Answer> = answers.iter().map(answer).collect();
        Question { id: id.to_owned(), text: String::new(), impossible: answers.is_empty(), answers }
    }

    /// A map from ids.
    pub fn by_id<T: Clone>(pairs: &[(&str, T)]) -> BTreeMap<String, T> {
        pairs.iter().map(|(id, value)| ((*id).to_owned(), value.clone())).collect()
    }

    fn predictions(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn words_are_shared_as_often_as_both_have_them() {
        // Shared: green, green. Precision 2/3, recall 2/4.
        let value = word_f1("The green, green grass", "green green green hills", Rules::One);
        assert!((value - 4.0 / 7.0).abs() < 1e-15);
        assert_eq!(word_f1("grass", "hills", Rules::One), 0.0);
        assert_eq!(exact_match("The Hills!", "hills"), 1.0);
    }

    #[test]
    fn nothing_against_nothing_is_right_in_version_two_only() {
        assert_eq!((word_f1("the", "", Rules::Two), word_f1("the", "", Rules::One)), (1.0, 0.0));
        assert_eq!(word_f1("", "hills", Rules::Two), 0.0);
    }

    #[test]
    fn the_nearest_gold_answer_counts_for_each_metric() {
        let questions = [question("a", &["the old mill", "mill"]), question("b", &["1895"])];
        let given = predictions(&[("a", "Old mill stream")]);
        let scores = squad(&questions.iter().collect::<Vec<_>>(), &given, Rules::One);
        // a: precision 2/3, recall 1 against `old mill`; b was not answered.
        assert_eq!((scores.all.exact, scores.all.total, scores.missing), (0.0, 2, 1));
        assert!((scores.all.f1 - 40.0).abs() < 1e-12);
        assert_eq!((scores.has_answer, scores.no_answer), (None, None));
    }

    #[test]
    fn version_two_splits_by_whether_there_is_an_answer() {
        let questions = [
            question("a", &["mill"]),
            question("b", &[]),
            question("c", &[]),
            question("d", &["the"]),
        ];
        let given = predictions(&[("a", "mill"), ("b", ""), ("c", "mill"), ("d", "")]);

        let scores = squad(&questions.iter().collect::<Vec<_>>(), &given, Rules::Two);
        let share = |exact, total| Share { exact, f1: exact, total };
        assert_eq!(scores.all, share(75.0, 4));
        assert_eq!(scores.has_answer, Some(share(100.0, 2)));
        assert_eq!(scores.no_answer, Some(share(50.0, 2)));
        let answered: Vec<&Question> = questions[..1].iter().collect();
        assert_eq!(squad(&answered, &given, Rules::Two).no_answer, None);
    }
}
