//! The steps since the last record of the log.

use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::step::Losses;

/// A step whose losses are still on the device.
#[derive(Debug)]
pub struct PendingStep {
    /// Its number.
    pub step: u64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Numbers of its passages.
    pub passages: Vec<u64>,
    /// The number of targets of each loss term.
    pub target_counts: Vec<f64>,
    /// Its losses.
    pub losses: Losses,
}

/// The steps since the last record of the log, and what they took.
#[derive(Debug)]
pub struct LogWindow {
    pending: Vec<PendingStep>,
    /// Tokens, padding not counted.
    tokens: u64,
    /// Tokens with padding.
    padded_tokens: u64,
    /// Seconds that the loop waited for batches.
    waited: f64,
    started: Instant,
}

/// What the steps of a window came to.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowSummary {
    /// The mean of each loss term.
    pub terms: Vec<TermMean>,
    /// The total loss, nats.
    pub loss: f64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The mean norm of the gradients before clipping.
    pub gradient_norm: f64,
    /// Tokens per second, padding not counted.
    pub tokens_per_second: f64,
    /// Share of the time that the loop waited for batches.
    pub waiting: f64,
    /// Share of padding in the batches.
    pub padding: f64,
}

/// The mean of a loss term.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TermMean {
    /// Its name.
    pub name: &'static str,
    /// What the mean is multiplied by in the loss.
    pub coefficient: f64,
    /// The sum, nats.
    pub sum: f64,
    /// The number of targets.
    pub targets: f64,
}

impl TermMean {
    /// The mean in nats; none without a target.
    pub fn mean(&self) -> Option<f64> {
        (self.targets > 0.0).then(|| self.sum / self.targets)
    }
}

impl Default for LogWindow {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
            tokens: 0,
            padded_tokens: 0,
            waited: 0.0,
            started: Instant::now(),
        }
    }
}

impl LogWindow {
    /// Adds a step over `tokens` tokens, `padded_tokens` with padding.
    pub fn add(&mut self, step: PendingStep, tokens: u64, padded_tokens: u64) {
        self.pending.push(step);
        self.tokens += tokens;
        self.padded_tokens += padded_tokens;
    }

    /// The loop waited for a batch.
    pub fn wait(&mut self, seconds: f64) {
        self.waited += seconds;
    }

    /// Time until now does not count: the loop did something else than training.
    pub fn restart_clock(&mut self) {
        self.started = Instant::now();
    }

    /// Reads the losses from the device and begins a new window; none where there was no step.
    ///
    /// # Errors
    /// When a loss is not finite; the message ends with `kept`.
    pub fn read(&mut self, kept: &str) -> Result<Option<WindowSummary>, Error> {
        let pending = std::mem::take(&mut self.pending);
        let Some(last) = pending.last() else { return Ok(None) };
        let (learning_rate, steps) = (last.learning_rate, pending.len() as f64);

        let (mut terms, mut norms) = (Vec::new(), 0.0);
        for step in &pending {
            norms += add_losses(&mut terms, step, kept)?;
        }
        let loss: f64 =
            terms.iter().map(|term| term.coefficient * term.mean().unwrap_or(0.0)).sum();

        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        let Self { tokens, padded_tokens, waited, .. } = std::mem::take(self);
        Ok(Some(WindowSummary {
            terms,
            loss,
            learning_rate,
            gradient_norm: norms / steps,
            tokens_per_second: tokens as f64 / seconds,
            waiting: waited / seconds,
            padding: 1.0 - tokens as f64 / (padded_tokens as f64).max(1.0),
        }))
    }
}

/// Adds the losses of a step, term by term; the norm of its gradient.
fn add_losses(terms: &mut Vec<TermMean>, step: &PendingStep, kept: &str) -> Result<f64, Error> {
    let losses = &step.losses;
    let norm = f64::from(losses.norm.clone().into_scalar::<f32>());
    let read = |sum: &burn::tensor::Tensor<1>| f64::from(sum.clone().into_scalar::<f32>());
    let sums: Vec<f64> = losses.terms.iter().map(|term| read(&term.sum)).collect();
    if !(norm.is_finite() && sums.iter().all(|sum| sum.is_finite())) {
        return Err(Error::Diverged(format!(
            "the loss is not finite at step {}: loss sums {sums:?}, gradient norm {norm}, learning \
             rate {:.3e}, passages {:?}; {kept}. Try a lower --learning-rate, a longer \
             schedule.warmup or optimizer.clip_norm",
            step.step, step.learning_rate, step.passages
        )));
    }

    terms.resize(sums.len(), TermMean::default());
    let parts = losses.terms.iter().zip(&step.target_counts).zip(sums);
    for (total, ((term, targets), sum)) in terms.iter_mut().zip(parts) {
        total.name = term.name;
        total.coefficient = term.coefficient;
        total.sum += sum;
        total.targets += targets;
    }
    Ok(norm)
}

impl WindowSummary {
    /// The fields of a record of `metrics.jsonl` that the window determines.
    pub fn record(&self) -> Map<String, Value> {
        let mut record = Map::new();
        let mut set = |name: &str, value: Value| drop(record.insert(name.to_owned(), value));
        set("learning_rate", json!(self.learning_rate));
        set("loss", json!(self.loss));
        set("gradient_norm", json!(self.gradient_norm));
        set("tokens_per_second", json!(self.tokens_per_second));
        set("waiting", json!(self.waiting));
        set("padding", json!(self.padding));
        for term in &self.terms {
            set(term.name, json!(term.mean()));
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::step::TermSum;

    fn step(number: u64, sum: f32, targets: f64) -> PendingStep {
        let one = |value: f32| Tensor::<1>::from_floats([value], &Device::flex());
        let term = TermSum { name: "mlm/loss", coefficient: 2.0, sum: one(sum) };
        PendingStep {
            step: number,
            learning_rate: number as f64,
            passages: vec![7],
            target_counts: vec![targets],
            losses: Losses { terms: vec![term], norm: one(number as f32), outcomes: Vec::new() },
        }
    }

    #[test]
    fn means_are_over_all_steps_of_the_window() {
        let mut window = LogWindow::default();
        window.add(step(1, 6.0, 2.0), 30, 40);
        window.add(step(2, 3.0, 1.0), 30, 40);
        let summary = window.read("").expect("finite").expect("two steps");
        assert_eq!((summary.terms[0].mean(), summary.loss), (Some(3.0), 6.0));
        assert_eq!((summary.learning_rate, summary.gradient_norm), (2.0, 1.5));
        assert_eq!(summary.padding, 0.25);
        assert_eq!(window.read("").expect("finite"), None, "a new window is empty");
    }

    #[test]
    fn a_term_without_targets_has_no_mean_and_adds_nothing() {
        let mut window = LogWindow::default();
        window.add(step(1, 0.0, 0.0), 1, 1);
        let summary = window.read("").expect("finite").expect("a step");
        assert_eq!((summary.terms[0].mean(), summary.loss), (None, 0.0));
        assert_eq!(summary.record()["mlm/loss"], Value::Null);
    }

    #[test]
    fn a_loss_that_is_not_finite_is_named_with_its_step_and_passages() {
        let mut window = LogWindow::default();
        window.add(step(3, f32::NAN, 1.0), 1, 1);
        let error = window.read("nothing is kept").expect_err("not finite").to_string();
        assert!(error.starts_with("the loss is not finite at step 3"), "{error}");
        assert!(error.contains("passages [7]; nothing is kept."), "{error}");
    }
}
