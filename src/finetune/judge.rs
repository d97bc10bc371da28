//! What a fine-tuned model says about a split, and how good that is.

use anyhow::Result;
use objective::Objective;
use serde_json::{Value, json};
use tasks::metrics::{self, Rules};
use tasks::tagging::{self, Scheme};
use tasks::{AnswerConfig, NoAnswer, Predictions, Scored, answer};
use tune::{Kind, largest};

use super::config::DataConfig;
use super::data::{Gold, Split};
use crate::eval::loss;
use crate::model::Loaded;
use crate::train::labelled_set;

/// Predictions on a split and their worth.
#[derive(Debug)]
pub struct Judged {
    /// Metrics by name, from 0 to 1 but for the loss, correlations from -1.
    pub metrics: Vec<(String, f64)>,
    /// One JSON object a row, sentence or question, in the order of the file.
    pub predictions: Vec<Value>,
    /// Answers by the questions' ids, as the official script reads them.
    pub answers: Option<Predictions>,
}

/// Predicts `split` with a model of this kind and these classes or tags, and compares.
///
/// # Errors
/// When a signal asks to stop.
pub fn judge<O: Objective>(
    loaded: &Loaded<O>,
    (kind, labels): (Kind, &[String]),
    data: &DataConfig,
    split: &Split,
    batch: usize,
) -> Result<Judged> {
    let examples = labelled_set(&split.rows);
    let Loaded { objective, model, device, workers, .. } = loaded;
    let (means, outputs) =
        loss::answer(objective.as_ref(), model, &examples, batch, device, workers)?;
    let known = split.rows.iter().any(|row| row.answer.is_some());
    let mut metrics: Vec<(String, f64)> = Vec::new();
    if known {
        let named = |metric: &loss::Metric| {
            (metric.name.trim_start_matches("finetune/").to_owned(), metric.mean)
        };
        metrics.extend(means.metrics.iter().map(named));
    }
    let name = |class: usize| labels[class].clone();
    let (mut predictions, mut answers) = (Vec::new(), None);
    match (&split.gold, kind) {
        (Gold::Tags(sentences, firsts), _) => {
            let width = labels.len();
            let mut said: Vec<Vec<String>> = Vec::new();
            for ((sentence, firsts), logits) in sentences.iter().zip(firsts).zip(&outputs) {
                let tag = |place: &usize| name(largest(&logits[place * width..][..width]));
                let mut tags: Vec<String> = firsts.iter().map(tag).collect();
                // Words beyond the longest sequence.
                tags.resize(sentence.words.len(), "O".to_owned());
                predictions.push(json!({"tokens": sentence.words, "tags": tags}));
                said.push(tags);
            }
            if known {
                let gold: Vec<Vec<String>> =
                    sentences.iter().map(|sentence| sentence.tags.clone()).collect();
                metrics.extend(tag_scores(labels, &said, &gold));
            }
        }
        (Gold::Questions(squad, contexts), _) => {
            let no_answer = match squad.has_impossible() {
                true => NoAnswer::Above(data.null_threshold),
                false => NoAnswer::Never,
            };
            let choice = AnswerConfig { no_answer, ..AnswerConfig::default() };
            let (mut all, mut at) = (Predictions::default(), 0);
            for ((_, question), (context, windows)) in squad.questions().zip(contexts) {
                let scored: Vec<Scored<'_>> = windows
                    .iter()
                    .zip(&outputs[at..at + windows.len()])
                    .map(|(window, logits)| {
                        let (start, end) = logits.split_at(logits.len() / 2);
                        Scored { window, start, end }
                    })
                    .collect();
                at += windows.len();
                let found = answer(context, &scored, &choice);
                predictions.push(
                    json!({"id": question.id, "question": question.text, "answer": found.text}),
                );
                all.insert(question.id.as_str(), found);
            }
            if known {
                let questions: Vec<_> = squad.questions().map(|(_, question)| question).collect();
                let rules = if squad.has_impossible() { Rules::Two } else { Rules::One };
                metrics.extend(squad_scores(&metrics::squad(&questions, &all.answers, rules)));
            }
            answers = Some(all);
        }
        (Gold::Rows, Kind::Regression) => {
            predictions.extend(outputs.iter().map(|output| json!({"score": output[0]})));
        }
        (Gold::Rows, _) => {
            for logits in &outputs {
                let probabilities = softmax(logits);
                let class = largest(logits);
                let by_name: serde_json::Map<String, Value> =
                    probabilities.iter().enumerate().map(|(i, p)| (name(i), json!(p))).collect();
                predictions.push(json!({"label": name(class), "probabilities": by_name}));
            }
        }
    }
    Ok(Judged { metrics, predictions, answers })
}

fn tag_scores(labels: &[String], said: &[Vec<String>], gold: &[Vec<String>]) -> Vec<(String, f64)> {
    let said: Vec<Vec<&str>> =
        said.iter().map(|sentence| sentence.iter().map(String::as_str).collect()).collect();
    let gold: Vec<Vec<&str>> =
        gold.iter().map(|sentence| sentence.iter().map(String::as_str).collect()).collect();
    let scheme = Scheme::of(labels.iter().map(String::as_str));
    let scores =
        tagging::score(scheme, said.iter().map(Vec::as_slice).zip(gold.iter().map(Vec::as_slice)));
    let mut found = vec![("word_accuracy".to_owned(), scores.accuracy)];
    if let Some(entities) = scores.entities {
        found.push(("entity_precision".to_owned(), entities.precision));
        found.push(("entity_recall".to_owned(), entities.recall));
        found.push(("entity_f1".to_owned(), entities.f1));
    }
    found
}

/// Exact match and F1 in percent, as the official script prints them, and 2.0's parts.
fn squad_scores(scores: &metrics::SquadScores) -> Vec<(String, f64)> {
    let parts = [
        ("", Some(scores.all)),
        ("has_answer_", scores.has_answer),
        ("no_answer_", scores.no_answer),
    ];
    let both = |(name, share): (&str, Option<metrics::Share>)| {
        share.map(|share| {
            [(format!("{name}exact_match"), share.exact), (format!("{name}answer_f1"), share.f1)]
        })
    };
    parts.into_iter().filter_map(both).flatten().collect()
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
