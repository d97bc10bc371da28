//! Held-out loss on a fixed set with fixed masks.

use burn::tensor::Device;
use objective::{Decisions, Example, Objective, Purpose, Step, Tally};
use serde::Serialize;

use super::detection::detection;
use crate::signals::{self, Interrupted};
use crate::workers::Workers;

/// Means over an evaluation set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Means {
    /// The total loss: the sum over terms of coefficient times mean, in nats. Not a number where no
    /// term has a target.
    pub loss: f64,
    /// Every loss term and metric, in the order of the objective.
    pub metrics: Vec<Metric>,
    /// Bits and perplexity, where the loss is a single mean over predicted tokens.
    pub uncertainty: Option<Uncertainty>,
    /// Targets of the first loss term.
    pub targets: f64,
    /// Tokens seen, special tokens included.
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
    /// How many things it is over.
    pub weight: f64,
}

/// What one step adds, read from the device.
#[derive(Debug)]
pub struct Part {
    coefficients: Vec<f64>,
    entries: Vec<(&'static str, f64, f64)>,
    decisions: Option<Decisions>,
    outputs: Vec<Vec<f32>>,
    tokens: u64,
}

impl Part {
    /// The sums of a step over `tokens` tokens.
    pub fn read(step: Step, tokens: u64) -> Self {
        let coefficients = step.terms.iter().map(|term| term.coefficient).collect();
        let tallies = step.terms.into_iter().map(|term| term.tally).chain(step.tallies);
        let read =
            |Tally { name, sum, weight }| (name, f64::from(sum.into_scalar::<f32>()), weight);
        Self {
            coefficients,
            entries: tallies.map(read).collect(),
            decisions: step.decisions,
            outputs: step.outputs,
            tokens,
        }
    }
}

/// Sums over steps; divided only when they are read.
#[derive(Debug, Default)]
pub struct Sums {
    coefficients: Vec<f64>,
    entries: Vec<(&'static str, f64, f64)>,
    decisions: Decisions,
    outputs: Vec<Vec<f32>>,
    tokens: u64,
}

impl Sums {
    /// Adds a step.
    pub fn add(&mut self, part: Part) {
        self.coefficients = part.coefficients;
        // By name: a batch without a target of some kind may lack the metrics of it.
        for (name, sum, weight) in part.entries {
            match self.entries.iter_mut().find(|entry| entry.0 == name) {
                Some(entry) => {
                    entry.1 += sum;
                    entry.2 += weight;
                }
                None => self.entries.push((name, sum, weight)),
            }
        }
        if let Some(decisions) = part.decisions {
            self.decisions.name = decisions.name;
            self.decisions.scores.extend(decisions.scores);
            self.decisions.answers.extend(decisions.answers);
        }
        self.outputs.extend(part.outputs);
        self.tokens += part.tokens;
    }

    /// The means. A metric without any weight is left out.
    pub fn means(&self) -> Means {
        let mean =
            |(_, sum, weight): &(&str, f64, f64)| if *weight > 0.0 { sum / weight } else { 0.0 };
        let terms = || self.coefficients.iter().zip(&self.entries);
        let loss: f64 = match terms().any(|(_, entry)| entry.2 > 0.0) {
            true => terms().map(|(c, entry)| c * mean(entry)).sum(),
            false => f64::NAN,
        };
        let entries = self.entries.iter().filter(|entry| entry.2 > 0.0);
        let metric = |entry: &(&str, f64, f64)| Metric {
            name: entry.0.to_owned(),
            mean: mean(entry),
            weight: entry.2,
        };
        let mut metrics: Vec<Metric> = entries.map(metric).collect();
        let weight = self.decisions.answers.len() as f64;
        let detected = detection(&self.decisions).into_iter();
        metrics.extend(detected.map(|(name, mean)| Metric { name, mean, weight }));
        let targets = self.entries.first().map_or(0.0, |entry| entry.2);
        let tokens = self.entries.first().is_some_and(|entry| entry.0 == "mlm/loss");
        let single = tokens && self.coefficients.as_slice() == [1.0];
        let uncertainty = single
            .then(|| Uncertainty { bits: loss / std::f64::consts::LN_2, perplexity: loss.exp() });
        Means { loss, metrics, uncertainty, targets, tokens: self.tokens }
    }
}

impl Means {
    /// The metric called `name`, if there is one.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }
}

/// Evaluates `model` (without autodiff) on `examples`, `batch` sequences at a time. Examples are
/// taken by length, so that little is padded; the sums do not depend on it.
///
/// # Errors
/// When a signal asks to stop.
pub fn evaluate<O: Objective>(
    objective: &O,
    model: &O::Model,
    examples: &[Example],
    batch: usize,
    device: &Device,
    workers: &Workers,
) -> Result<Means, Interrupted>
where
    O::Model: Sync,
{
    Ok(answer(objective, model, examples, batch, device, workers)?.0)
}

/// As [`evaluate`], with what the model said about each example, in their order, where the
/// objective tells.
///
/// # Errors
/// When a signal asks to stop.
pub fn answer<O: Objective>(
    objective: &O,
    model: &O::Model,
    examples: &[Example],
    batch: usize,
    device: &Device,
    workers: &Workers,
) -> Result<(Means, Vec<Vec<f32>>), Interrupted>
where
    O::Model: Sync,
{
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by_key(|i| examples[*i].passage.tokens.len());
    let parts = workers.map(order.chunks(batch).collect(), |part| {
        signals::check()?;
        let part: Vec<Example> = part.iter().map(|i| examples[*i].clone()).collect();
        let batch = objective.collate(&part, Purpose::Evaluation);
        let tokens = objective.sequences(&batch).real_tokens() as u64;
        Ok(Part::read(objective.forward(model, &batch, None, device), tokens))
    });
    let mut sums = Sums::default();
    for part in parts {
        sums.add(part?);
    }
    let mut means = sums.means();
    let mut outputs = vec![Vec::new(); sums.outputs.len()];
    for (i, output) in order.into_iter().zip(sums.outputs) {
        outputs[i] = output;
    }
    let weight = outputs.len() as f64;
    let judged = objective.judge(examples, &outputs).into_iter();
    means.metrics.extend(judged.map(|(name, mean)| Metric { name: name.to_owned(), mean, weight }));
    Ok((means, outputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tensor;
    use objective::Term;

    #[test]
    fn means_are_divided_at_the_end() {
        let device = Device::flex();
        let tally = |name, sum: f32, weight| Tally {
            name,
            sum: Tensor::from_floats([sum], &device),
            weight,
        };
        let step = |sum, weight| Step {
            terms: vec![Term { tally: tally("x/loss", sum, weight), coefficient: 2.0 }],
            tallies: vec![tally("x/accuracy", 1.0, weight), tally("x/rare", 0.0, 0.0)],
            decisions: None,
            outputs: Vec::new(),
        };
        let mut sums = Sums::default();
        sums.add(Part::read(step(8.0, 2.0), 10));
        sums.add(Part::read(step(1.0, 1.0), 5));
        let means = sums.means();
        // (8 + 1) / 3 = 3, not the mean of means 2.5; the total counts it twice.
        assert_eq!((means.loss, means.tokens, means.targets), (6.0, 15, 3.0));
        assert_eq!(means.metrics[0], Metric { name: "x/loss".to_owned(), mean: 3.0, weight: 3.0 });
        assert_eq!(means.metrics.len(), 2, "a metric without weight is left out");
        let of = |name| {
            let terms = vec![Term { tally: tally(name, 4.0, 2.0), coefficient: 1.0 }];
            let mut sums = Sums::default();
            sums.add(Part::read(
                Step { terms, tallies: vec![], decisions: None, outputs: vec![] },
                2,
            ));
            sums.means().uncertainty.map(|uncertainty| uncertainty.perplexity)
        };
        assert_eq!(
            (of("mlm/loss"), of("finetune/loss")),
            (Some(2f64.exp()), None),
            "a squared error has none"
        );
        let mut nothing = Sums::default();
        nothing.add(Part::read(step(0.0, 0.0), 10));
        assert!(nothing.means().loss.is_nan(), "no target is no perfect loss");
    }
}
