//! From which odds on no answer is better than the best answer (`find_best_thresh` of
//! `evaluate-v2.0.py`).

use std::collections::BTreeMap;

use super::squad::{Rules, has_answer, points};
use crate::squad::Question;

/// The most that a threshold can reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// The score, from 0 to 100.
    pub score: f64,
    /// The threshold: questions with greater odds are not answered. `None` when it is best to
    /// answer none, for which the script writes 0.
    pub threshold: Option<f64>,
}

/// The best thresholds of either metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestThresholds {
    /// Of exact match.
    pub exact: Best,
    /// Of F1.
    pub f1: Best,
}

/// Tries every threshold on development data. `forced` are the best answers as if every question
/// had one, by id, and `odds` how much no answer exceeds each. Of equal odds the questions are
/// taken in the order of their ids, one by one, as the script does with a file sorted by ids; a
/// question that lacks either scores 0. As in the script, a question with gold answers scores 0
/// unanswered and one without scores 0 answered, also where [`normalize`](super::normalize) leaves
/// nothing of an answer.
///
/// # Panics
/// Without questions.
pub fn best_thresholds(
    questions: &[&Question],
    forced: &BTreeMap<String, String>,
    odds: &BTreeMap<String, f64>,
) -> BestThresholds {
    assert!(!questions.is_empty(), "questions to measure");
    let mut order: Vec<(f64, &Question, &str)> = questions
        .iter()
        .filter_map(|question| {
            Some((*odds.get(&question.id)?, *question, forced.get(&question.id)?.as_str()))
        })
        .collect();
    order.sort_by(|(a, one, _), (b, other, _)| a.total_cmp(b).then_with(|| one.id.cmp(&other.id)));
    let gains: Vec<(f64, (f64, f64))> = order
        .into_iter()
        .map(|(odds, question, predicted)| (odds, gain(question, predicted)))
        .collect();
    // At first no question is answered.
    let known = |question: &&&Question| {
        odds.contains_key(&question.id) && forced.contains_key(&question.id)
    };
    let none =
        questions.iter().filter(known).filter(|question| !has_answer(question)).count() as f64;
    let best = |part: fn(&(f64, f64)) -> f64| {
        let (mut score, mut most, mut threshold) = (none, none, None);
        for (odds, gain) in &gains {
            score += part(gain);
            if score > most {
                (most, threshold) = (score, Some(*odds));
            }
        }
        Best { score: 100.0 * most / questions.len() as f64, threshold }
    };
    BestThresholds { exact: best(|gain| gain.0), f1: best(|gain| gain.1) }
}

/// What a question adds to exact match and F1 when it is answered.
fn gain(question: &Question, predicted: &str) -> (f64, f64) {
    match (has_answer(question), predicted) {
        (true, _) => points(question, predicted, Rules::Two),
        (false, "") => (0.0, 0.0),
        (false, _) => (-1.0, -1.0),
    }
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
        // The threshold does what it says.
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
