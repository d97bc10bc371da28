//! Sums over batches, and their means.

use objective::{Decisions, Step, Tally};
use serde::Serialize;

use crate::detection::detection;

/// Means over an evaluation set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Means {
    /// The total loss: the sum over terms of coefficient times mean, in nats. NaN if no term has a
    /// target.
    pub loss: f64,
    /// Every loss term and metric, in the order of the objective.
    pub metrics: Vec<Metric>,
    /// Bits and perplexity, where the loss is a single mean over predicted tokens.
    pub uncertainty: Option<Uncertainty>,
    /// Targets of the first loss term.
    pub targets: f64,
    /// Tokens, special tokens included.
    pub tokens: u64,
}

/// A loss per token in other units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Uncertainty {
    /// The loss in bits.
    pub bits: f64,
    /// e to the loss in nats.
    pub perplexity: f64,
}

/// A mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// `objective/quantity`.
    pub name: String,
    /// The mean.
    pub mean: f64,
    /// The number of values that it is the mean of.
    pub count: f64,
}

/// A named sum and the number of its summands.
#[derive(Clone, Debug, PartialEq)]
struct NamedSum {
    name: &'static str,
    sum: f64,
    count: f64,
}

impl NamedSum {
    /// The mean; 0 where nothing was summed.
    fn mean(&self) -> f64 {
        if self.count > 0.0 { self.sum / self.count } else { 0.0 }
    }
}

/// The sums of one batch, read from the device.
#[derive(Debug)]
pub struct BatchSums {
    coefficients: Vec<f64>,
    entries: Vec<NamedSum>,
    decisions: Option<Decisions>,
    outputs: Vec<Vec<f32>>,
    tokens: u64,
}

impl BatchSums {
    /// The sums of a step over `tokens` tokens.
    pub fn read(step: Step, tokens: u64) -> Self {
        let coefficients = step.terms.iter().map(|term| term.coefficient).collect();
        let tallies = step.terms.into_iter().map(|term| term.tally).chain(step.tallies);

        let read = |Tally { name, sum, count }: Tally| {
            let sum = f64::from(sum.into_scalar::<f32>());
            NamedSum { name, sum, count }
        };

        Self {
            coefficients,
            entries: tallies.map(read).collect(),
            decisions: step.decisions,
            outputs: step.outputs,
            tokens,
        }
    }
}

/// Sums over batches; divided only when they are read.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    coefficients: Vec<f64>,
    entries: Vec<NamedSum>,
    decisions: Decisions,
    /// The outputs for each example.
    pub(crate) outputs: Vec<Vec<f32>>,
    tokens: u64,
}

impl Sums {
    /// Adds a batch.
    pub(crate) fn add(&mut self, part: BatchSums) {
        self.coefficients = part.coefficients;

        // Matched by name: a batch without targets of some kind may lack the metrics of that kind.
        for added in part.entries {
            match self.entries.iter_mut().find(|entry| entry.name == added.name) {
                Some(entry) => {
                    entry.sum += added.sum;
                    entry.count += added.count;
                }
                None => self.entries.push(added),
            }
        }

        if let Some(decisions) = part.decisions {
            self.decisions.name = decisions.name;
            self.decisions.scores.extend(decisions.scores);
            self.decisions.labels.extend(decisions.labels);
        }

        self.outputs.extend(part.outputs);
        self.tokens += part.tokens;
    }

    /// The means. A metric over nothing is left out.
    pub(crate) fn means(&self) -> Means {
        let terms = || self.coefficients.iter().zip(&self.entries);
        let has_targets = terms().any(|(_, term)| term.count > 0.0);
        let loss: f64 = if has_targets {
            terms().map(|(coefficient, term)| coefficient * term.mean()).sum()
        } else {
            f64::NAN
        };

        let entries = self.entries.iter().filter(|entry| entry.count > 0.0);
        let metric = |entry: &NamedSum| Metric {
            name: entry.name.to_owned(),
            mean: entry.mean(),
            count: entry.count,
        };
        let mut metrics: Vec<Metric> = entries.map(metric).collect();
        let count = self.decisions.labels.len() as f64;
        let detected = detection(&self.decisions).into_iter();
        metrics.extend(detected.map(|(name, mean)| Metric { name, mean, count }));

        let first = self.entries.first();
        let over_tokens = first.is_some_and(|term| term.name == "mlm/loss");
        let is_single = over_tokens && self.coefficients.as_slice() == [1.0];
        let uncertainty = is_single
            .then(|| Uncertainty { bits: loss / std::f64::consts::LN_2, perplexity: loss.exp() });
        let targets = first.map_or(0.0, |term| term.count);
        Means { loss, metrics, uncertainty, targets, tokens: self.tokens }
    }
}

impl Means {
    /// The metric called `name`, if there is one.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};
    use objective::Term;

    use super::*;

    fn tally(name: &'static str, sum: f32, count: f64) -> Tally {
        Tally { name, sum: Tensor::from_floats([sum], &Device::flex()), count }
    }

    fn sums_of(steps: Vec<(Step, u64)>) -> Sums {
        let mut sums = Sums::default();
        steps.into_iter().for_each(|(step, tokens)| sums.add(BatchSums::read(step, tokens)));
        sums
    }

    fn step(sum: f32, count: f64) -> Step {
        let term = Term { tally: tally("x/loss", sum, count), coefficient: 2.0 };
        Step::new(vec![term], vec![tally("x/accuracy", 1.0, count), tally("x/rare", 0.0, 0.0)])
    }

    #[test]
    fn means_are_divided_at_the_end() {
        let means = sums_of(vec![(step(8.0, 2.0), 10), (step(1.0, 1.0), 5)]).means();
        // (8 + 1) / 3 = 3, not the mean of means 2.5; the total counts it twice.
        assert_eq!((means.loss, means.tokens, means.targets), (6.0, 15, 3.0));
        assert_eq!(means.metrics[0], Metric { name: "x/loss".to_owned(), mean: 3.0, count: 3.0 });
        assert_eq!(means.metrics.len(), 2, "a metric over nothing is left out");
    }

    #[test]
    fn only_a_loss_over_tokens_has_a_perplexity() {
        let perplexity = |name| {
            let terms = vec![Term { tally: tally(name, 4.0, 2.0), coefficient: 1.0 }];
            let means = sums_of(vec![(Step::new(terms, Vec::new()), 2)]).means();
            means.uncertainty.map(|uncertainty| uncertainty.perplexity)
        };
        assert_eq!(perplexity("mlm/loss"), Some(2f64.exp()));
        assert_eq!(perplexity("finetune/loss"), None, "a squared error has none");
    }

    #[test]
    fn no_target_is_no_perfect_loss() {
        assert!(sums_of(vec![(step(0.0, 0.0), 10)]).means().loss.is_nan());
    }
}
