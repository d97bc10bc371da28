//! The best threshold for giving no answer (`find_best_thresh` of `evaluate-v2.0.py`).

use std::collections::BTreeMap;

use super::squad::{Points, Rules, has_answer, points};
use crate::squad::Question;

/// The best score that a threshold reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// The score, from 0 to 100.
    pub score: f64,
    /// The threshold: questions with greater odds are not answered. `None` when it is best to
    /// answer no question; the script then writes 0.
    pub threshold: Option<f64>,
}

/// The best threshold for each metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestThresholds {
    /// For exact match.
    pub exact: Best,
    /// For F1.
    pub f1: Best,
}

/// Tries every threshold on development data. By the id of a question, `forced` holds its best
/// answer and `odds` how much the score of no answer exceeds that of the best answer. Questions
/// with equal odds are taken one by one in the order of their ids, as the script does with a file
/// sorted by ids. A question without an entry in both scores 0. As in the script, a question with
/// gold answers scores 0 if unanswered, and one without scores 0 if answered, also where
/// [`normalize`](super::normalize) leaves nothing of an answer.
///
/// # Panics
/// Without questions.
pub fn best_thresholds(
    questions: &[&Question],
    forced: &BTreeMap<String, String>,
    odds: &BTreeMap<String, f64>,
) -> BestThresholds {
    assert!(!questions.is_empty(), "questions to measure");
    let answered = |question: &&Question| -> Option<Answered> {
        let (odds, predicted) = (*odds.get(&question.id)?, forced.get(&question.id)?);
        Some(Answered { id: question.id.clone(), odds, gain: gain(question, predicted) })
    };
    let mut order: Vec<Answered> = questions.iter().filter_map(answered).collect();
    order.sort_by(|a, b| a.odds.total_cmp(&b.odds).then_with(|| a.id.cmp(&b.id)));

    // At first no question is answered.
    let is_known = |question: &&&Question| {
        odds.contains_key(&question.id) && forced.contains_key(&question.id)
    };
    let known = questions.iter().filter(is_known);
    let unanswered = known.filter(|question| !has_answer(question)).count() as f64;

    let best = |metric: fn(&Points) -> f64| {
        let (mut score, mut most, mut threshold) = (unanswered, unanswered, None);
        for Answered { odds, gain, .. } in &order {
            score += metric(gain);
            if score > most {
                (most, threshold) = (score, Some(*odds));
            }
        }
        Best { score: 100.0 * most / questions.len() as f64, threshold }
    };
    BestThresholds { exact: best(|points| points.exact), f1: best(|points| points.f1) }
}

/// A question that is answered from a threshold of `odds` on.
struct Answered {
    id: String,
    odds: f64,
    gain: Points,
}

/// How much a question adds to exact match and F1 if it is answered.
fn gain(question: &Question, predicted: &str) -> Points {
    if has_answer(question) {
        return points(question, predicted, Rules::Two);
    }
    let gain = if predicted.is_empty() { 0.0 } else { -1.0 };
    Points { exact: gain, f1: gain }
}

#[cfg(test)]
mod tests {
    use super::super::squad::squad;
    use super::super::squad::tests::{by_id, question};
    use super::*;

    #[test]
    fn questions_are_answered_while_it_pays() {
        let questions = [
            question("a", &["mill"]),
            question("b", &[]),
            question("c", &["old mill"]),
            question("d", &[]),
        ];
        let questions: Vec<&Question> = questions.iter().collect();
        let forced = by_id(&["a", "b", "c", "d"].map(|id| (id, "mill".to_owned())));
        let odds = by_id(&[("a", -3.0), ("b", 1.0), ("c", 0.5), ("d", 2.0)]);

        let best = best_thresholds(&questions, &forced, &odds);
        // None: 2 of 4; a: 3; c: 3 and F1 3 + 2/3; b and d take away again.
        assert_eq!(best.exact, Best { score: 75.0, threshold: Some(-3.0) });
        assert_eq!(best.f1.threshold, Some(0.5));
        assert!((best.f1.score - 100.0 * (3.0 + 2.0 / 3.0) / 4.0).abs() < 1e-12);

        // The scores with the threshold applied are the same.
        let mut given = forced.clone();
        for (id, text) in &mut given {
            if odds[id] > 0.5 {
                text.clear();
            }
        }
        assert!((squad(&questions, &given, Rules::Two).all.f1 - best.f1.score).abs() < 1e-12);
    }

    #[test]
    fn it_may_be_best_to_answer_nothing() {
        let questions = [question("a", &["mill"]), question("b", &[])];
        let questions: Vec<&Question> = questions.iter().collect();
        let forced = by_id(&["a", "b"].map(|id| (id, "hill".to_owned())));
        let best = best_thresholds(&questions, &forced, &by_id(&[("a", -1.0), ("b", -2.0)]));
        assert_eq!(best.exact, Best { score: 50.0, threshold: None });
    }
}
