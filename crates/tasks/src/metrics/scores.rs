//! Metrics of predicted numbers.

/// A metric of predicted numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreMetric {
    /// See [`pearson`].
    Pearson,
    /// See [`spearman`].
    Spearman,
}

impl ScoreMetric {
    /// The name in results: `pearson`, `spearman`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pearson => "pearson",
            Self::Spearman => "spearman",
        }
    }

    /// The value of the metric.
    ///
    /// # Panics
    /// When there are not as many predictions as labels.
    pub fn of(self, predicted: &[f64], gold: &[f64]) -> Option<f64> {
        match self {
            Self::Pearson => pearson(predicted, gold),
            Self::Spearman => spearman(predicted, gold),
        }
    }
}

/// Pearson's correlation coefficient, from -1 to 1. `None` where it is not defined: one side is
/// constant, or a number is not finite.
///
/// # Panics
/// When there are not as many predictions as labels.
pub fn pearson(predicted: &[f64], gold: &[f64]) -> Option<f64> {
    assert_eq!(predicted.len(), gold.len(), "a prediction for each label");
    let (a, b) = (deviations(predicted)?, deviations(gold)?);
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let spread = product(&a, &a).sqrt() * product(&b, &b).sqrt();
    let correlation = product(&a, &b) / spread;
    // Rounding may exceed the bounds.
    correlation.is_finite().then(|| correlation.clamp(-1.0, 1.0))
}

/// Spearman's rank correlation: Pearson's of the ranks. Equal numbers get the mean of their ranks.
///
/// # Panics
/// When there are not as many predictions as labels.
pub fn spearman(predicted: &[f64], gold: &[f64]) -> Option<f64> {
    let finite = predicted.iter().chain(gold).all(|number| number.is_finite());
    if finite { pearson(&ranks(predicted), &ranks(gold)) } else { None }
}

/// The difference of each number from the mean; `None` for numbers that are all equal.
fn deviations(numbers: &[f64]) -> Option<Vec<f64>> {
    // A variance of 0 would not tell: the mean of equal numbers may be rounded.
    numbers.iter().find(|number| **number != numbers[0])?;
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    Some(numbers.iter().map(|number| number - mean).collect())
}

/// Ranks from 1.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|a, b| numbers[*a].total_cmp(&numbers[*b]));

    let mut ranks = vec![0.0; numbers.len()];
    let mut before = 0;
    // In `total_cmp`, -0 is less than 0.
    for level in order.chunk_by(|a, b| numbers[*a] == numbers[*b]) {
        for index in level {
            ranks[*index] = before as f64 + (level.len() + 1) as f64 / 2.0;
        }
        before += level.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use corpus::{keyed_rng, uniform};

    use super::*;

    #[test]
    fn correlations_worked_by_hand() {
        // Deviations -1, 0, 1 and -2, 1, 1: 3 / sqrt(2 * 6).
        let value = pearson(&[1.0, 2.0, 3.0], &[0.0, 3.0, 3.0]).unwrap();
        assert!((value - 3.0 / 12f64.sqrt()).abs() < 1e-15);
        // Ranks 1, 2, 3 and 1, 2.5, 2.5: deviations -1, 0, 1 and -1, 0.5, 0.5: 1.5 / sqrt(2 * 1.5).
        let value = spearman(&[1.0, 20.0, 300.0], &[0.0, 3.0, 3.0]).unwrap();
        assert!((value - 1.5 / 3f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn equal_numbers_share_their_ranks() {
        assert_eq!(ranks(&[2.0, 1.0, 2.0, 2.0, 0.5]), [4.0, 2.0, 4.0, 4.0, 1.0]);
        assert_eq!(ranks(&[0.0, -0.0, -1.0]), [2.5, 2.5, 1.0]);
    }

    #[test]
    fn a_constant_has_no_correlation() {
        // The mean of three times 0.1 is not 0.1.
        assert_eq!(pearson(&[0.1, 0.1, 0.1], &[1.0, 2.0, 3.0]), None);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[5.0, 5.0, 5.0]), None);
        assert_eq!(pearson(&[1.0], &[2.0]), None);
        assert_eq!(pearson(&[], &[]), None);
        assert_eq!(pearson(&[1.0, f64::NAN], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[1.0, f64::NAN], &[1.0, 2.0]), None);
    }

    #[test]
    fn spearman_keeps_under_monotone_maps_and_pearson_under_linear_ones() {
        for seed in 0..100 {
            let mut rng = keyed_rng("scores", seed, 0, 0);
            let mut draw = || -> Vec<f64> { (0..12).map(|_| 5.0 * uniform(&mut rng)).collect() };
            let (a, b) = (draw(), draw());

            let map = |numbers: &[f64], map: fn(f64) -> f64| -> Vec<f64> {
                numbers.iter().copied().map(map).collect()
            };
            let close =
                |a: Option<f64>, b: Option<f64>| assert!((a.unwrap() - b.unwrap()).abs() < 1e-12);

            close(spearman(&a, &b), spearman(&map(&a, f64::exp), &map(&b, |x| x * x)));
            close(pearson(&a, &b), pearson(&map(&a, |x| 3.0 * x - 1.0), &map(&b, |x| 0.5 * x)));
            close(pearson(&a, &b), pearson(&map(&a, |x| -x), &map(&b, |x| -x)));
            assert!(pearson(&a, &a).unwrap() > 1.0 - 1e-12);
        }
    }
}
