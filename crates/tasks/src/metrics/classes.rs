//! Metrics of predicted classes.

use std::collections::BTreeMap;

/// A metric of predicted classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassMetric {
    /// See [`accuracy`].
    Accuracy,
    /// See [`f1`].
    F1 {
        /// The class that counts as positive.
        positive: u32,
    },
    /// See [`macro_f1`].
    MacroF1,
    /// See [`matthews`].
    Matthews,
}

impl ClassMetric {
    /// The name in results: `accuracy`, `f1`, `macro_f1`, `matthews`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 { .. } => "f1",
            Self::MacroF1 => "macro_f1",
            Self::Matthews => "matthews",
        }
    }

    /// The value of the metric.
    ///
    /// # Panics
    /// When there are no predictions, or not as many as labels.
    pub fn of(self, predicted: &[u32], gold: &[u32]) -> f64 {
        match self {
            Self::Accuracy => accuracy(predicted, gold),
            Self::F1 { positive } => f1(predicted, gold, positive),
            Self::MacroF1 => macro_f1(predicted, gold),
            Self::Matthews => matthews(predicted, gold),
        }
    }
}

/// The share of right predictions, from 0 to 1.
///
/// # Panics
/// When there are no predictions, or not as many as labels.
pub fn accuracy(predicted: &[u32], gold: &[u32]) -> f64 {
    paired(predicted, gold);
    right(predicted, gold) as f64 / gold.len() as f64
}

/// The harmonic mean of precision and recall of a class, from 0 to 1; 0 where no prediction of the
/// class is right.
///
/// # Panics
/// When there are no predictions, or not as many as labels.
pub fn f1(predicted: &[u32], gold: &[u32], positive: u32) -> f64 {
    paired(predicted, gold);
    let found = predicted.iter().filter(|class| **class == positive).count();
    let there = gold.iter().filter(|class| **class == positive).count();
    let both = predicted.iter().zip(gold).filter(|(a, b)| a == b && **a == positive).count();
    if both == 0 { 0.0 } else { (2 * both) as f64 / (found + there) as f64 }
}

/// The mean of F1 over the classes among predictions or labels, from 0 to 1.
///
/// # Panics
/// When there are no predictions, or not as many as labels.
pub fn macro_f1(predicted: &[u32], gold: &[u32]) -> f64 {
    paired(predicted, gold);
    let mut classes = [predicted, gold].concat();
    classes.sort_unstable();
    classes.dedup();
    classes.iter().map(|class| f1(predicted, gold, *class)).sum::<f64>() / classes.len() as f64
}

/// Matthews' correlation coefficient, from -1 to 1; for more than two classes Gorodkin's (2004),
/// equation 8. 0 where all predictions or all labels are one class.
///
/// # Panics
/// When there are no predictions, or not as many as labels.
pub fn matthews(predicted: &[u32], gold: &[u32]) -> f64 {
    paired(predicted, gold);
    let (found, there) = (counts(predicted), counts(gold));
    let all = gold.len() as f64;

    let square =
        |counts: &BTreeMap<u32, f64>| counts.values().map(|count| count * count).sum::<f64>();
    let chance: f64 =
        found.iter().map(|(class, count)| count * there.get(class).unwrap_or(&0.0)).sum();
    let spread = (all * all - square(&found)) * (all * all - square(&there));
    if spread == 0.0 { 0.0 } else { (right(predicted, gold) as f64 * all - chance) / spread.sqrt() }
}

fn paired(predicted: &[u32], gold: &[u32]) {
    assert_eq!(predicted.len(), gold.len(), "a prediction for each label");
    assert!(!gold.is_empty(), "predictions to measure");
}

fn right(predicted: &[u32], gold: &[u32]) -> usize {
    predicted.iter().zip(gold).filter(|(a, b)| a == b).count()
}

fn counts(classes: &[u32]) -> BTreeMap<u32, f64> {
    let mut counts = BTreeMap::new();
    for class in classes {
        *counts.entry(*class).or_default() += 1.0;
    }
    counts
}

#[cfg(test)]
mod tests {
    use corpus::{below, keyed_rng};

    use super::*;

    /// Three true positives, one false positive, two false negatives, four true negatives.
    const PREDICTED: [u32; 10] = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0];
    const GOLD: [u32; 10] = [1, 1, 1, 0, 1, 1, 0, 0, 0, 0];

    #[test]
    fn two_classes_worked_by_hand() {
        assert_eq!(accuracy(&PREDICTED, &GOLD), 0.7);
        // Precision 3/4, recall 3/5.
        assert_eq!(f1(&PREDICTED, &GOLD, 1), 6.0 / 9.0);
        // Precision 4/6, recall 4/5.
        assert_eq!(f1(&PREDICTED, &GOLD, 0), 8.0 / 11.0);
        assert!((macro_f1(&PREDICTED, &GOLD) - (6.0 / 9.0 + 8.0 / 11.0) / 2.0).abs() < 1e-15);
        // (3*4 - 1*2) / sqrt(4*5*5*6).
        assert!((matthews(&PREDICTED, &GOLD) - 10.0 / 600f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn one_class_alone_has_no_correlation() {
        assert_eq!(matthews(&[1, 1, 1], &[0, 1, 1]), 0.0);
        assert_eq!(matthews(&[0, 1, 1], &[1, 1, 1]), 0.0);
        assert_eq!(matthews(&[1, 1], &[1, 1]), 0.0);
        assert_eq!(f1(&[0, 0], &[0, 0], 1), 0.0);
        assert_eq!(macro_f1(&[0, 0], &[0, 0]), 1.0);
    }

    #[test]
    fn metrics_do_not_depend_on_what_classes_are_called() {
        for seed in 0..200 {
            let mut rng = keyed_rng("classes", seed, 0, 0);
            let mut draw = || -> Vec<u32> { (0..20).map(|_| below(4, &mut rng) as u32).collect() };
            let (predicted, gold) = (draw(), draw());
            let renamed = |classes: &[u32]| -> Vec<u32> {
                classes.iter().map(|class| 9 - 2 * class).collect()
            };

            for metric in [ClassMetric::Accuracy, ClassMetric::MacroF1, ClassMetric::Matthews] {
                let (a, b) = (
                    metric.of(&predicted, &gold),
                    metric.of(&renamed(&predicted), &renamed(&gold)),
                );
                assert!((a - b).abs() < 1e-12, "{}", metric.name());
                assert_eq!(metric.of(&predicted, &predicted), 1.0);
                assert!(
                    (a - metric.of(&gold, &predicted)).abs() < 1e-12,
                    "all three are symmetric"
                );
            }
        }
    }
}
