//! Held-out loss on a fixed set with fixed masks.

use burn::tensor::Device;
use objective::{Example, Objective, Purpose, Step, Tally};
use serde::Serialize;

use crate::exit::Interrupted;
use crate::signals;
use crate::workers::Workers;

/// Means over an evaluation set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Means {
    /// The total loss: the sum over terms of coefficient times mean, in nats.
    pub loss: f64,
    /// Every loss term and metric by name, in the order of the objective.
    pub metrics: Vec<(String, f64)>,
    /// Targets of the first loss term.
    pub targets: f64,
    /// Tokens seen, special tokens included.
    pub tokens: u64,
}

/// What one step adds, read from the device.
#[derive(Debug)]
pub struct Part {
    coefficients: Vec<f64>,
    entries: Vec<(&'static str, f64, f64)>,
    tokens: u64,
}

impl Part {
    /// The sums of a step over `tokens` tokens.
    pub fn read(step: Step, tokens: u64) -> Self {
        let coefficients = step.terms.iter().map(|term| term.coefficient).collect();
        let tallies = step.terms.into_iter().map(|term| term.tally).chain(step.tallies);
        let read = |Tally { name, sum, weight }| (name, f64::from(sum.into_scalar::<f32>()), weight);
        Self { coefficients, entries: tallies.map(read).collect(), tokens }
    }
}

/// Sums over steps; divided only when they are read.
#[derive(Debug, Default)]
pub struct Sums {
    coefficients: Vec<f64>,
    entries: Vec<(&'static str, f64, f64)>,
    tokens: u64,
}

impl Sums {
    /// Adds a step.
    pub fn add(&mut self, part: Part) {
        self.coefficients = part.coefficients;
        for (i, (name, sum, weight)) in part.entries.into_iter().enumerate() {
            match self.entries.get_mut(i) {
                Some(entry) => {
                    debug_assert_eq!(entry.0, name, "tallies keep their order");
                    entry.1 += sum;
                    entry.2 += weight;
                }
                None => self.entries.push((name, sum, weight)),
            }
        }
        self.tokens += part.tokens;
    }

    /// The means. A metric without any weight is left out.
    pub fn means(&self) -> Means {
        let mean = |(_, sum, weight): &(&str, f64, f64)| if *weight > 0.0 { sum / weight } else { 0.0 };
        let loss = self.coefficients.iter().zip(&self.entries).map(|(c, entry)| c * mean(entry)).sum();
        let entries = self.entries.iter().filter(|entry| entry.2 > 0.0);
        let metrics = entries.map(|entry| (entry.0.to_owned(), mean(entry))).collect();
        let targets = self.entries.first().map_or(0.0, |entry| entry.2);
        Means { loss, metrics, targets, tokens: self.tokens }
    }
}

/// Evaluates `model` (without autodiff) on `examples`, `batch` sequences at a time. Examples are taken by length, so
/// that little is padded; the sums do not depend on it.
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
    let mut order: Vec<&Example> = examples.iter().collect();
    order.sort_by_key(|example| example.passage.tokens.len());
    let parts = workers.map(order.chunks(batch).collect(), |part| {
        signals::check()?;
        let part: Vec<Example> = part.iter().map(|example| (*example).clone()).collect();
        let batch = objective.collate(&part, Purpose::Evaluation);
        let tokens = objective.sequences(&batch).real_tokens() as u64;
        Ok(Part::read(objective.forward(model, &batch, None, device), tokens))
    });
    let mut sums = Sums::default();
    for part in parts {
        sums.add(part?);
    }
    Ok(sums.means())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tensor;
    use objective::Term;

    #[test]
    fn means_are_divided_at_the_end() {
        let device = Device::flex();
        let tally = |name, sum: f32, weight| Tally { name, sum: Tensor::from_floats([sum], &device), weight };
        let step = |sum, weight| Step {
            terms: vec![Term { tally: tally("x/loss", sum, weight), coefficient: 2.0 }],
            tallies: vec![tally("x/accuracy", 1.0, weight), tally("x/rare", 0.0, 0.0)],
        };
        let mut sums = Sums::default();
        sums.add(Part::read(step(8.0, 2.0), 10));
        sums.add(Part::read(step(1.0, 1.0), 5));
        let means = sums.means();
        // (8 + 1) / 3 = 3, not the mean of means 2.5; the total counts it twice.
        assert_eq!((means.loss, means.tokens, means.targets), (6.0, 15, 3.0));
        assert_eq!(means.metrics[0], ("x/loss".to_owned(), 3.0));
        assert_eq!(means.metrics.len(), 2, "a metric without weight is left out");
    }
}
