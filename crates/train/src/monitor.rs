//! What surrounds a run.

use std::sync::Arc;

use objective::{Objective, Workers};
use serde_json::{Map, Value};

use crate::budget::BudgetProgress;
use crate::error::Result;

/// What surrounds a run: it evaluates the model, shows progress, and may stop the run.
pub trait Monitor<O: Objective> {
    /// Evaluates `model`, which is without autodiff, at this point of the run; `workers` are free.
    ///
    /// # Errors
    /// Those of the evaluation, which end the run.
    fn evaluate(
        &mut self,
        model: O::Model,
        workers: &Arc<Workers>,
        progress: &BudgetProgress,
    ) -> Result<Outcome>;

    /// A record was logged.
    fn logged(&mut self, line: &LogLine);

    /// Whether to save and stop. Asked after every step.
    fn should_stop(&mut self) -> bool;

    /// The run is saved at `step` and stops, because it was asked to.
    fn stopped(&mut self, step: u64);
}

/// How an evaluation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is complete.
    Complete(Evaluation),
    /// There is nothing to evaluate the model by.
    Nothing,
    /// It was cut short, and is repeated when the run continues.
    Interrupted,
}

/// The results of an evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Loss on the validation set in nats, where there is one.
    pub loss: Option<f64>,
    /// What the best checkpoint is chosen by: the higher the better.
    pub score: f64,
    /// Everything that goes to `evals.jsonl`.
    pub record: Map<String, Value>,
}

/// A logged record, for display.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogLine {
    /// Optimizer steps so far.
    pub step: u64,
    /// Share of the budget that is spent.
    pub fraction: f64,
    /// Training loss since the last record, nats.
    pub loss: f64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// Tokens per second, padding not counted.
    pub tokens_per_second: f64,
    /// Seconds to the end at the pace of this process.
    pub seconds_left: f64,
}
