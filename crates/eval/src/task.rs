//! The predictions of a model that learnt a task, and how good they are.

use finetune::{DataConfig, Gold, RowText, Split, TaskKind, largest};
use objective::LabelledSequence;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tasks::metrics::{self, Rules, Share, SquadScores};
use tasks::tagging::{self, Scheme, TaggedSentence};
use tasks::{AnswerConfig, AnswerContext, NoAnswer, Predictions, Scored, Squad, Window, answer};

use crate::error::Result;
use crate::evaluable::Evaluable;
use crate::loss::evaluate_with_outputs;
use crate::sums::Metric;

/// The outputs of a model that learnt a task: the knobs that every such objective has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TaskOutputs {
    /// What is predicted.
    pub kind: TaskKind,
    /// Names of classes or tags.
    pub labels: Vec<String>,
}

/// Predictions on a split and how good they are.
#[derive(Debug, Default)]
pub struct ScoredSplit {
    /// Metrics by name, from 0 to 1 but for the loss, correlations from -1.
    pub metrics: Vec<(String, f64)>,
    /// One JSON object for each row, sentence or question, in the order of the file.
    pub predictions: Vec<Value>,
    /// Answers by the questions' ids, as the official script reads them.
    pub answers: Option<Predictions>,
}

/// Predicts `split` and compares the predictions with its gold standard.
///
/// # Errors
/// When the caller asks to stop.
pub fn score(
    model: &dyn Evaluable,
    task: &TaskOutputs,
    data: &DataConfig,
    split: &Split,
    batch: usize,
) -> Result<ScoredSplit> {
    let is_labelled = split.is_labelled();
    let unlabelled = |row: &LabelledSequence| LabelledSequence { label: None, ..row.clone() };
    let examples = if is_labelled {
        LabelledSequence::evaluation_set(&split.rows)
    } else {
        let rows: Vec<LabelledSequence> = split.rows.iter().map(unlabelled).collect();
        LabelledSequence::evaluation_set(&rows)
    };
    let (means, outputs) = evaluate_with_outputs(model, &examples, batch)?;

    let mut scored = match &split.gold {
        Gold::Tags(sentences, firsts) => score_tags(task, sentences, firsts, &outputs),
        Gold::Questions(squad, contexts) => score_questions(data, squad, contexts, &outputs),
        Gold::Rows(texts) => {
            let rows = texts.iter().zip(&outputs).enumerate();
            let prediction = |(number, (text, output)): (usize, (&RowText, &Vec<f32>))| {
                row_prediction(task, number + 1, text, output)
            };
            ScoredSplit { predictions: rows.map(prediction).collect(), ..ScoredSplit::default() }
        }
    };
    if !is_labelled {
        scored.metrics.clear();
        return Ok(scored);
    }

    let named =
        |metric: &Metric| (metric.name.trim_start_matches("finetune/").to_owned(), metric.mean);
    let means = means.metrics.iter().map(named);
    scored.metrics = means.chain(std::mem::take(&mut scored.metrics)).collect();
    Ok(scored)
}

/// The prediction for a sentence or a pair, with the number of its row, the texts, and the gold
/// label where there is one.
fn row_prediction(task: &TaskOutputs, number: usize, text: &RowText, output: &[f32]) -> Value {
    let RowText { id, first, second, gold } = text;
    let mut row = json!({"row": number, "text": first});
    if let Some(id) = id {
        row["id"] = json!(id);
    }
    if let Some(second) = second {
        row["pair"] = json!(second);
    }

    if task.kind == TaskKind::Regression {
        row["score"] = json!(output[0]);
        if let Some(gold) = gold.as_ref().and_then(|gold| gold.parse::<f64>().ok()) {
            row["gold"] = json!(gold);
        }
        return row;
    }

    let probabilities = task.labels.iter().cloned().zip(softmax(output));
    let probabilities: Map<String, Value> =
        probabilities.map(|(name, probability)| (name, json!(probability))).collect();
    row["label"] = json!(task.labels[largest(output)]);
    row["probabilities"] = probabilities.into();
    if let Some(gold) = gold {
        row["gold"] = json!(gold);
    }
    row
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Tags of words: `firsts` are the positions of the words' first tokens.
fn score_tags(
    task: &TaskOutputs,
    sentences: &[TaggedSentence],
    firsts: &[Vec<usize>],
    outputs: &[Vec<f32>],
) -> ScoredSplit {
    let width = task.labels.len();
    let mut predicted: Vec<Vec<Option<&str>>> = Vec::new();
    for ((sentence, firsts), logits) in sentences.iter().zip(firsts).zip(outputs) {
        let tag =
            |first: &usize| Some(task.labels[largest(&logits[first * width..][..width])].as_str());
        let mut tags: Vec<Option<&str>> = firsts.iter().map(tag).collect();
        // Words beyond the longest sequence have no prediction.
        tags.resize(sentence.words.len(), None);
        predicted.push(tags);
    }

    let is_labelled = sentences.iter().all(|sentence| !sentence.tags.is_empty());
    let metrics = if is_labelled { tag_metrics(task, sentences, &predicted) } else { Vec::new() };

    let row = |(number, (sentence, tags)): (usize, (&TaggedSentence, &Vec<Option<&str>>))| {
        let mut row = json!({"row": number + 1, "tokens": sentence.words, "tags": tags});
        if !sentence.tags.is_empty() {
            row["gold"] = json!(sentence.tags);
        }
        row
    };
    let predictions = sentences.iter().zip(&predicted).enumerate().map(row).collect();
    ScoredSplit { metrics, predictions, answers: None }
}

fn tag_metrics(
    task: &TaskOutputs,
    sentences: &[TaggedSentence],
    predicted: &[Vec<Option<&str>>],
) -> Vec<(String, f64)> {
    // A word without a prediction counts as outside of every entity.
    let predicted: Vec<Vec<&str>> =
        predicted.iter().map(|tags| tags.iter().map(|tag| tag.unwrap_or("O")).collect()).collect();
    let gold: Vec<Vec<&str>> = sentences
        .iter()
        .map(|sentence| sentence.tags.iter().map(String::as_str).collect())
        .collect();
    let scheme = Scheme::of(task.labels.iter().map(String::as_str));
    let pairs = predicted.iter().map(Vec::as_slice).zip(gold.iter().map(Vec::as_slice));
    let scores = tagging::score(scheme, pairs);

    let mut metrics = vec![("word_accuracy".to_owned(), scores.accuracy)];
    if let Some(entities) = scores.entities {
        metrics.push(("entity_precision".to_owned(), entities.precision));
        metrics.push(("entity_recall".to_owned(), entities.recall));
        metrics.push(("entity_f1".to_owned(), entities.f1));
    }
    metrics
}

/// Answers to questions: the outputs are those of all windows in turn.
fn score_questions(
    data: &DataConfig,
    squad: &Squad,
    contexts: &[(AnswerContext, Vec<Window>)],
    outputs: &[Vec<f32>],
) -> ScoredSplit {
    let (rules, no_answer) = if squad.has_impossible() {
        (Rules::Two, NoAnswer::Above(data.null_threshold))
    } else {
        (Rules::One, NoAnswer::Never)
    };
    let config = AnswerConfig { no_answer, ..AnswerConfig::default() };

    let (mut answers, mut predictions) = (Predictions::default(), Vec::new());
    let mut outputs = outputs.iter();
    for ((_, question), (context, windows)) in squad.questions().zip(contexts) {
        let scored: Vec<Scored<'_>> =
            windows.iter().zip(outputs.by_ref().take(windows.len())).map(score_window).collect();
        let found = answer(context, &scored, &config);
        let mut prediction =
            json!({"id": question.id, "question": question.text, "answer": found.text});
        if squad.has_answers() {
            let gold = question.answers.iter().map(|answer| answer.text.as_str());
            prediction["gold"] = gold.collect::<Vec<&str>>().into();
        }
        predictions.push(prediction);
        answers.insert(question.id.as_str(), found);
    }

    let questions: Vec<_> = squad.questions().map(|(_, question)| question).collect();
    if !squad.has_answers() {
        return ScoredSplit { metrics: Vec::new(), predictions, answers: Some(answers) };
    }
    let metrics = squad_metrics(&metrics::squad(&questions, &answers.answers, rules));
    ScoredSplit { metrics, predictions, answers: Some(answers) }
}

/// A window with the logits of the first and of the last token of the answer.
fn score_window<'a>((window, logits): (&'a Window, &'a Vec<f32>)) -> Scored<'a> {
    let (start, end) = logits.split_at(logits.len() / 2);
    Scored { window, start, end }
}

/// Exact match and F1 in percent, as the official script prints them, and 2.0's parts.
fn squad_metrics(scores: &SquadScores) -> Vec<(String, f64)> {
    let parts = [
        ("", Some(scores.all)),
        ("has_answer_", scores.has_answer),
        ("no_answer_", scores.no_answer),
    ];
    let both = |(name, share): (&str, Option<Share>)| {
        let Share { exact, f1, .. } = share?;
        Some([(format!("{name}exact_match"), exact), (format!("{name}answer_f1"), f1)])
    };
    parts.into_iter().filter_map(both).flatten().collect()
}
