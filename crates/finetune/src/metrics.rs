//! Metrics of a task that are no means over examples.

use ::objective::{Example, Label};
use tasks::metrics;

/// Matthews' correlation and F1 of classes, and the agreement with a teacher.
pub fn of_classes(
    classes: usize,
    examples: &[Example],
    outputs: &[Vec<f32>],
) -> Vec<(&'static str, f64)> {
    let mut found: Vec<_> = agreement(examples, outputs).into_iter().collect();

    let (mut predicted, mut gold) = (Vec::new(), Vec::new());
    for (label, logits) in labelled(examples, outputs) {
        let Label::Class(class) = label else { continue };
        predicted.push(largest(logits) as u32);
        gold.push(*class);
    }
    if gold.is_empty() {
        return found;
    }

    found.extend([
        ("finetune/matthews", metrics::matthews(&predicted, &gold)),
        ("finetune/macro_f1", metrics::macro_f1(&predicted, &gold)),
    ]);
    if classes == 2 {
        found.push(("finetune/f1", metrics::f1(&predicted, &gold, 1)));
    }
    found
}

/// The correlations of scores.
pub fn of_scores(examples: &[Example], outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)> {
    let pairs = labelled(examples, outputs).filter_map(|(label, output)| match label {
        Label::Score(score) => Some((f64::from(output[0]), f64::from(*score))),
        _ => None,
    });
    let (predicted, gold): (Vec<f64>, Vec<f64>) = pairs.unzip();

    let both = [
        ("finetune/pearson", metrics::pearson(&predicted, &gold)),
        ("finetune/spearman", metrics::spearman(&predicted, &gold)),
    ];
    both.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The examples that have a label, with their outputs.
fn labelled<'a>(
    examples: &'a [Example],
    outputs: &'a [Vec<f32>],
) -> impl Iterator<Item = (&'a Label, &'a Vec<f32>)> {
    let pairs = examples.iter().zip(outputs);
    pairs.filter_map(|(example, output)| Some((example.label.as_ref()?, output)))
}

/// The share of examples with a teacher's logits whose most probable class is the teacher's.
fn agreement(examples: &[Example], outputs: &[Vec<f32>]) -> Option<(&'static str, f64)> {
    let pairs = examples.iter().zip(outputs);
    let taught =
        pairs.filter_map(|(example, student)| Some((example.teacher_logits.as_ref()?, student)));
    let agree: Vec<bool> =
        taught.map(|(teacher, student)| largest(teacher) == largest(student)).collect();
    let share = agree.iter().filter(|agree| **agree).count() as f64 / agree.len() as f64;
    (!agree.is_empty()).then_some(("finetune/agreement", share))
}

/// The index of the largest value, the first of equal ones.
pub fn largest(values: &[f32]) -> usize {
    values
        .iter()
        .enumerate()
        .fold(0, |best, (i, value)| if *value > values[best] { i } else { best })
}
