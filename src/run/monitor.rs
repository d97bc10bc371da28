//! What happens beside a run: evaluation, progress on stderr, signals.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use burn::tensor::Device;
use corpus::Tokenizer;
use eval::{LoadedModel, Means, Metric, blimp, loss};
use indicatif::HumanDuration;
use objective::{Example, Goal, Objective, Workers};
use serde_json::{Map, Value, json};
use train::{BudgetProgress, Evaluation, LogLine, Monitor, Outcome};
use trunk::EncoderConfig;

use crate::config::RunConfig;
use crate::progress::animated;
use crate::signals;

/// Metrics that the line of an evaluation tells.
const TOLD: [&str; 4] = ["accuracy", "auc", "exact", "spearman"];

/// Records between two plain lines, where stderr is no terminal.
const RECORDS_PER_LINE: u64 = 10;

/// Evaluates a run's model, tells its progress on stderr, and stops it where a signal asks for it.
pub struct RunMonitor<O: Objective> {
    objective: Arc<O>,
    encoder: EncoderConfig,
    tokenizer: Arc<Tokenizer>,
    device: Device,
    valid: Vec<Example>,
    /// Sequences per forward pass of an evaluation.
    batch: usize,
    /// BLiMP's folder; empty: none.
    blimp: PathBuf,
    blimp_pairs: usize,
    /// Steps between records of the log.
    log_every: u64,
}

/// The results of one evaluation as they come in.
struct Report {
    evaluation: Evaluation,
    line: String,
}

impl<O: Objective> RunMonitor<O> {
    /// The monitor of the run that `config` describes, evaluated on `valid`.
    pub fn new(
        config: &RunConfig,
        objective: Arc<O>,
        encoder: EncoderConfig,
        tokenizer: Arc<Tokenizer>,
        valid: Vec<Example>,
        device: &Device,
    ) -> Self {
        Self {
            objective,
            encoder,
            tokenizer,
            device: device.clone(),
            valid,
            batch: config.evaluation.batch,
            blimp: config.evaluation.blimp.clone(),
            blimp_pairs: config.evaluation.blimp_pairs,
            log_every: config.log.every,
        }
    }

    /// The validation examples.
    pub fn valid(&self) -> &[Example] {
        &self.valid
    }

    /// The validation loss and the metrics.
    fn evaluate_valid(
        &self,
        model: &LoadedModel<O>,
        report: &mut Report,
    ) -> Result<(), eval::Error> {
        let means = loss::evaluate(model, &self.valid, self.batch)?;
        if means.targets == 0.0 {
            tracing::warn!(
                "the validation text gives nothing to predict; give more of it, or other \
                 evaluation masks"
            );
        }

        report.evaluation.loss = Some(means.loss);
        report.evaluation.score = match self.objective.goal() {
            Goal::LowestLoss => -means.loss,
            Goal::Highest(name) => means.metric(name).map_or(-means.loss, |metric| metric.mean),
        };
        report.add_means(&means);
        Ok(())
    }

    /// BLiMP's accuracies.
    fn evaluate_blimp(
        &self,
        model: &LoadedModel<O>,
        report: &mut Report,
    ) -> Result<(), eval::Error> {
        let accuracies = blimp::score(model, &self.blimp, self.blimp_pairs, |_, _| {})?;
        report.line += &format!("  BLiMP {:.2} %", 100.0 * accuracies.overall);
        report.set("blimp", json!(accuracies.phenomena));
        report.set("blimp/overall", json!(accuracies.overall));
        report.set("blimp/overall_l2r", json!(accuracies.overall_l2r));
        report.set("blimp/ties", json!(accuracies.ties));
        Ok(())
    }

    fn report(
        &self,
        model: O::Model,
        workers: &Arc<Workers>,
        step: u64,
    ) -> Result<Report, eval::Error> {
        let model = LoadedModel {
            objective: self.objective.clone(),
            encoder: self.encoder.clone(),
            model,
            tokenizer: self.tokenizer.clone(),
            device: self.device.clone(),
            workers: workers.clone(),
            is_interrupted: signals::is_interrupted,
        };

        let mut report =
            Report { evaluation: Evaluation::default(), line: format!("step {step:>6}") };
        if !self.valid.is_empty() {
            self.evaluate_valid(&model, &mut report)?;
        }
        if !self.blimp.as_os_str().is_empty() {
            self.evaluate_blimp(&model, &mut report)?;
        }

        Ok(report)
    }
}

impl Report {
    fn set(&mut self, name: &str, value: Value) {
        self.evaluation.record.insert(name.to_owned(), value);
    }

    fn add_means(&mut self, means: &Means) {
        self.set("loss", json!(means.loss));
        self.line += &format!("  valid loss {:.4}", means.loss);

        if let Some(uncertainty) = means.uncertainty {
            self.set("bits", json!(uncertainty.bits));
            self.set("perplexity", json!(uncertainty.perplexity));
            self.line += &format!("  perplexity {:.2}", uncertainty.perplexity);
        }

        let is_told = |metric: &&Metric| {
            TOLD.iter().any(|end| metric.name.ends_with(end)) && !metric.name.contains("masked")
        };
        for metric in means.metrics.iter().filter(is_told) {
            self.line += &format!("  {} {:.4}", metric.name, metric.mean);
        }

        let all: Map<String, Value> =
            means.metrics.iter().map(|metric| (metric.name.clone(), json!(metric.mean))).collect();
        self.evaluation.record.extend(all);
    }
}

impl<O: Objective> Monitor<O> for RunMonitor<O> {
    fn evaluate(
        &mut self,
        model: O::Model,
        workers: &Arc<Workers>,
        progress: &BudgetProgress,
    ) -> train::Result<Outcome> {
        if self.valid.is_empty() && self.blimp.as_os_str().is_empty() {
            return Ok(Outcome::Nothing);
        }

        match self.report(model, workers, progress.step) {
            Ok(Report { evaluation, line }) => {
                anstream::eprintln!("{}{line}", if animated() { "\r\x1b[2K" } else { "" });
                Ok(Outcome::Complete(evaluation))
            }
            Err(eval::Error::Interrupted) => Ok(Outcome::Interrupted),
            Err(error) => Err(train::Error::Evaluation(Box::new(error))),
        }
    }

    fn logged(&mut self, line: &LogLine) {
        let left = HumanDuration(Duration::from_secs_f64(line.seconds_left));
        let text = format!(
            "step {:>6}  {:5.1} %  loss {:.4}  rate {:.2e}  {:.0} tokens/s  {left} left",
            line.step,
            100.0 * line.fraction.min(1.0),
            line.loss,
            line.learning_rate,
            line.tokens_per_second,
        );

        if animated() {
            anstream::eprint!("\r\x1b[2K{text}");
        } else if line.step.is_multiple_of(self.log_every * RECORDS_PER_LINE) {
            anstream::eprintln!("{text}");
        }
    }

    fn should_stop(&mut self) -> bool {
        signals::is_interrupted()
    }

    fn stopped(&mut self, step: u64) {
        anstream::eprintln!("saved step {step}; the same command continues");
    }
}
