//! Predicted answers as the files of `run_squad.py`.

use std::collections::BTreeMap;

use crate::answers::{Candidate, Prediction};

/// The answers to the questions of a file, by the ids of the questions: the maps that
/// `run_squad.py` writes as `predictions.json`, `nbest_predictions.json` and `null_odds.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// The answers, for the evaluation script.
    pub answers: BTreeMap<String, String>,
    /// The best answers with their probabilities.
    pub n_best: BTreeMap<String, Vec<Candidate>>,
    /// How much the score of no answer exceeds that of the best answer; empty where every question
    /// has an answer.
    pub null_odds: BTreeMap<String, f64>,
    /// The best answers, also where no answer scores better, for the sweep over thresholds.
    pub forced: BTreeMap<String, String>,
}

impl Predictions {
    /// Adds the answer to a question.
    pub fn insert(&mut self, id: impl Into<String>, prediction: Prediction) {
        let id = id.into();
        let Prediction { text, best, null_odds, candidates } = prediction;
        if let Some(odds) = null_odds {
            self.null_odds.insert(id.clone(), odds);
        }
        self.answers.insert(id.clone(), text);
        self.forced.insert(id.clone(), best);
        self.n_best.insert(id, candidates);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(text: &str, null_odds: Option<f64>) -> Prediction {
        let candidate = Candidate {
            text: "Brno".to_owned(),
            probability: 1.0,
            start_logit: 2.5,
            end_logit: 1.0,
        };
        Prediction {
            text: text.to_owned(),
            best: "Brno".to_owned(),
            null_odds,
            candidates: vec![candidate],
        }
    }

    #[test]
    fn predictions_are_written_as_run_squad_writes_them() {
        let mut predictions = Predictions::default();
        predictions.insert("q2", prediction("", Some(2.0)));
        predictions.insert("q1", prediction("Brno", None));

        let json = |value: &BTreeMap<String, String>| serde_json::to_string(value).unwrap();
        assert_eq!(json(&predictions.answers), r#"{"q1":"Brno","q2":""}"#);
        assert_eq!(json(&predictions.forced), r#"{"q1":"Brno","q2":"Brno"}"#);
        assert_eq!(serde_json::to_string(&predictions.null_odds).unwrap(), r#"{"q2":2.0}"#);
        assert_eq!(
            serde_json::to_string(&predictions.n_best["q1"]).unwrap(),
            r#"[{"text":"Brno","probability":1.0,"start_logit":2.5,"end_logit":1.0}]"#
        );
    }
}
