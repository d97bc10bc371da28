//! The loop: forward, backward, step, log, evaluate, save.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use corpus::Tokenizer;
use objective::{Example, Goal, Objective};
use serde_json::{Value, json};
use trunk::EncoderConfig;

use super::budget::Progress;
use super::checkpoint::{self, Checkpoint};
use super::feed::{Feed, GlobalBatch, Micro, Recipe};
use super::log::JsonLines;
use super::optimizer::Optimizer;
use super::state::{Best, Sources, State, Summary};
use super::step::{Losses, Stepper};
use super::weights;
use crate::config::RunConfig;
use crate::eval::loss::Metric;
use crate::eval::{blimp, loss};
use crate::exit::{BadInput, Diverged};
use crate::model::Loaded;
use crate::progress::animated;
use crate::signals;
use crate::workers::Workers;

/// The losses of a step that are still on the device.
struct Pending {
    step: u64,
    learning_rate: f64,
    passages: Vec<u64>,
    totals: Vec<f64>,
    losses: Losses,
}

/// A run in progress.
pub struct Session<'a, O: Objective> {
    config: &'a RunConfig,
    out: PathBuf,
    encoder: EncoderConfig,
    recipe: Arc<Recipe<O>>,
    stepper: Stepper<O>,
    tokenizer: Tokenizer,
    valid: Vec<Example>,
    state: State,
    pending: Vec<Pending>,
    /// Tokens, padding included and not, since the last record.
    since: (u64, u64),
    /// Targets of each loss term in this process; none once a lack of them was told.
    targets: Option<Vec<f64>>,
    waited: f64,
    /// When this process began to train, and what was done by then.
    clock: Instant,
    before: Progress,
    logged: Instant,
    /// The step of the last checkpoint, whether it knows of the last evaluation, and the step of
    /// that.
    saved: Option<u64>,
    outdated: bool,
    evaluated: Option<u64>,
}

impl<'a, O: Objective> Session<'a, O> {
    /// A run at step 0.
    ///
    /// # Errors
    /// When there are no threads for it.
    #[allow(clippy::too_many_arguments, reason = "called once, with everything a run consists of")]
    pub fn new(
        config: &'a RunConfig,
        out: &Path,
        encoder: EncoderConfig,
        recipe: Arc<Recipe<O>>,
        model: O::Model,
        tokenizer: Tokenizer,
        valid: Vec<Example>,
        device: Device,
    ) -> Result<Self> {
        let parts = config.batch.size.div_ceil(config.micro_batch());
        let workers = Arc::new(Workers::new(&device, parts)?);
        let (attention, feed_forward) = encoder.sharing.distinct(encoder.layers);
        let optimizer = Optimizer::new(config.optimizer.clone(), attention.max(feed_forward));
        let stepper = Stepper::new(recipe.objective.clone(), model, optimizer, device, workers);
        let state =
            State { sources: Sources::new(config, &recipe.examples, &valid)?, ..State::default() };
        Ok(Self {
            config,
            out: out.to_owned(),
            encoder,
            recipe,
            stepper,
            tokenizer,
            valid,
            state,
            pending: Vec::new(),
            since: (0, 0),
            targets: Some(Vec::new()),
            waited: 0.0,
            clock: Instant::now(),
            before: Progress::default(),
            logged: Instant::now(),
            saved: None,
            outdated: false,
            evaluated: None,
        })
    }

    /// Continues from `checkpoint`, of this run or of another one, which may have learnt from
    /// something else.
    ///
    /// # Errors
    /// When it belongs to another model, or what this run learns from has changed.
    pub fn restore(&mut self, checkpoint: &Checkpoint, own: bool) -> Result<()> {
        let state: State = serde_json::from_value(checkpoint.state.clone())
            .map_err(|error| BadInput(format!("{}: {error}", checkpoint.path.display())))?;
        let sources = std::mem::take(&mut self.state.sources);
        self.state = match own {
            true => {
                if let Some(part) = sources.changed(&state.sources) {
                    return Err(BadInput(format!(
                        "{}: the run was begun with other data: its {part} changed since; put back what was there, or give \
                         another --out",
                        self.out.display()
                    ))
                    .into());
                }
                (self.saved, self.targets) = (Some(state.step), None);
                state
            }
            false => {
                // Other text is begun from its beginning, and what was best elsewhere says nothing
                // here.
                let same = sources.examples == state.sources.examples;
                let rows = if same {
                    self.recipe.groups.begin(state.rows, self.config.batch.size as u64)
                } else {
                    0
                };
                State { sources, rows, best: None, valid_loss: None, ..state }
            }
        };
        let weights = weights::read(&checkpoint.path.join("model.safetensors"))?;
        self.stepper.set_model(weights::load(self.stepper.model().clone(), &weights)?);
        let device = self.stepper.device.clone().without_autodiff();
        let moments = weights::read(&checkpoint.path.join("optimizer.safetensors"))?;
        self.stepper.optimizer.restore(&moments, &weights, &device)?;
        anstream::eprintln!(
            "continuing from step {} ({})",
            self.state.step,
            checkpoint.path.display()
        );
        Ok(())
    }

    /// Trains until the budget is spent.
    ///
    /// # Errors
    /// A loss that is not finite, a full disk, or a signal, after saving.
    pub fn train(mut self) -> Result<Summary> {
        let mut metrics = JsonLines::open(&self.out.join("metrics.jsonl"), self.state.step)?;
        let mut evals = JsonLines::open(&self.out.join("evals.jsonl"), self.state.step)?;
        self.evaluated = evals.last;
        let mut feed = Feed::start(self.recipe.clone(), self.state.rows)?;
        self.before = self.progress();
        (self.clock, self.logged) = (Instant::now(), Instant::now());
        // An evaluation that a signal cut short is made up for.
        let step = self.state.step;
        if step > 0 && due_at(self.config.evaluation.every, step) && self.evaluated != Some(step) {
            self.evaluate(&mut metrics, &mut evals)?;
            self.stop_if_asked(&mut metrics)?;
        }
        while !self.config.budget.exhausted(&self.progress()) {
            let asked = Instant::now();
            let batch = feed.next()?;
            self.waited += asked.elapsed().as_secs_f64();
            self.step(batch)?;
            self.tick();
            let step = self.state.step;
            if due_at(self.config.log.every, step) {
                self.log(&mut metrics)?;
            }
            if due_at(self.config.evaluation.every, step) {
                self.evaluate(&mut metrics, &mut evals)?;
            }
            let is_best = self.state.best.is_some_and(|best| best.step == step);
            if due_at(self.config.checkpoint.every, step) || is_best {
                self.save(&mut metrics)?;
            }
            if !self.config.budget.exhausted(&self.progress()) {
                self.stop_if_asked(&mut metrics)?;
            }
        }
        self.log(&mut metrics)?;
        if self.evaluated != Some(self.state.step) {
            self.evaluate(&mut metrics, &mut evals)?;
            if self.evaluated != Some(self.state.step) {
                self.stop_if_asked(&mut metrics)?;
            }
        }
        self.save(&mut metrics)?;
        Ok(self.summary())
    }

    /// Saves and stops where a signal asked for it.
    fn stop_if_asked(&mut self, metrics: &mut JsonLines) -> Result<()> {
        let Some(signal) = signals::received() else { return Ok(()) };
        self.save(metrics)?;
        anstream::eprintln!("saved step {}; the same command continues", self.state.step);
        Err(signal.into())
    }

    /// Reads the clock.
    fn tick(&mut self) {
        self.state.seconds = self.before.seconds + self.clock.elapsed().as_secs_f64();
    }

    fn progress(&self) -> Progress {
        Progress {
            step: self.state.step,
            tokens: self.state.tokens,
            epochs: self.state.rows as f64 / self.recipe.examples.len() as f64,
            flops: self.state.flops,
            seconds: self.state.seconds,
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            objective: O::NAME,
            step: self.state.step,
            tokens: self.state.tokens,
            epochs: self.progress().epochs,
            flops: self.state.flops,
            seconds: self.state.seconds,
            parameters: self.stepper.model().num_params(),
            valid_loss: self.state.valid_loss,
            best_loss: self.state.best.map(|best| best.loss),
            best_step: self.state.best.map(|best| best.step),
        }
    }

    /// One optimizer step.
    fn step(&mut self, batch: GlobalBatch<O::Batch>) -> Result<()> {
        let objective = self.recipe.objective.as_ref();
        let fraction = self.config.budget.fraction(&self.progress());
        let learning_rate =
            self.config.optimizer.learning_rate * self.config.schedule.factor(fraction);
        let flops = |micro: &Micro<O::Batch>| 3.0 * objective.flops(&self.encoder, &micro.batch);
        self.state.flops += batch.micro.iter().map(flops).sum::<f64>();
        self.state.step += 1;
        self.state.rows += self.config.batch.size as u64;
        self.state.tokens += batch.tokens;
        self.since.0 += batch.tokens;
        self.since.1 += batch.places;
        let (step, passages, totals) =
            (self.state.step, batch.passages.clone(), batch.totals.clone());
        let losses = self.stepper.step(batch, learning_rate)?;
        self.pending.push(Pending { step, learning_rate, passages, totals, losses });
        Ok(())
    }

    /// Reads the losses since the last record, stops when one is not finite, and writes the record.
    fn log(&mut self, metrics: &mut JsonLines) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        let (mut sums, mut totals, mut norms) = (Vec::new(), Vec::new(), 0.0);
        let (learning_rate, count) =
            (pending[pending.len() - 1].learning_rate, pending.len() as f64);
        for step in pending {
            let norm = f64::from(step.losses.norm.clone().into_scalar::<f32>());
            norms += norm;
            let values: Vec<f64> = step
                .losses
                .terms
                .iter()
                .map(|(_, _, sum)| f64::from(sum.clone().into_scalar::<f32>()))
                .collect();
            if !(norm.is_finite() && values.iter().all(|value| value.is_finite())) {
                return Err(self.diverged(&step, &values, norm).into());
            }
            sums.resize(values.len(), ("", 0.0, 0.0));
            totals.resize(values.len(), 0.0);
            for (i, ((name, coefficient, _), value)) in
                step.losses.terms.iter().zip(values).enumerate()
            {
                sums[i] = (*name, *coefficient, sums[i].2 + value);
                totals[i] += step.totals[i];
            }
        }
        let means = sums.iter().zip(&totals).map(|((name, coefficient, sum), total)| {
            (*name, *coefficient, (*total > 0.0).then(|| sum / total))
        });
        let means: Vec<(&str, f64, Option<f64>)> = means.collect();
        let loss: f64 =
            means.iter().map(|(_, coefficient, mean)| coefficient * mean.unwrap_or(0.0)).sum();
        self.warn_without_targets(&means, &totals);
        let seconds = self.logged.elapsed().as_secs_f64();
        let (tokens, places) = std::mem::take(&mut self.since);
        let rate = tokens as f64 / seconds.max(1e-9);
        let mut record = json!({
            "step": self.state.step,
            "tokens": self.state.tokens,
            "seconds": self.state.seconds,
            "learning_rate": learning_rate,
            "loss": loss,
            "gradient_norm": norms / count,
            "tokens_per_second": rate,
            "waiting": std::mem::take(&mut self.waited) / seconds.max(1e-9),
            "padding": 1.0 - tokens as f64 / (places as f64).max(1.0),
        });
        for (name, _, mean) in &means {
            record[name] = json!(mean);
        }
        metrics.write(&record)?;
        self.logged = Instant::now();
        self.say(loss, learning_rate, rate);
        Ok(())
    }

    /// Tells once when a loss term has had no target in all of the first few hundred sequences.
    fn warn_without_targets(&mut self, means: &[(&str, f64, Option<f64>)], totals: &[f64]) {
        const SEQUENCES: u64 = 256;
        let Some(targets) = &mut self.targets else { return };
        targets.resize(totals.len(), 0.0);
        targets.iter_mut().zip(totals).for_each(|(sum, total)| *sum += total);
        if self.state.step * (self.config.batch.size as u64) < SEQUENCES {
            return;
        }
        for ((name, ..), _) in means.iter().zip(targets).filter(|(_, targets)| **targets == 0.0) {
            tracing::warn!(
                "{name} has had nothing to predict so far, so that nothing is learnt of it: does the text have sentences, \
                 and documents with an empty line between them?"
            );
        }
        self.targets = None;
    }

    fn diverged(&self, step: &Pending, values: &[f64], norm: f64) -> Diverged {
        let kept = match self.saved {
            Some(step) => format!("the last good checkpoint, step {step}, is kept"),
            None => "there is no checkpoint yet".to_owned(),
        };
        Diverged(format!(
            "the loss is not finite at step {}: loss sums {values:?}, gradient norm {norm}, learning rate {:.3e}, \
             passages {:?}; {kept}. Try a lower --learning-rate, a longer schedule.warmup or optimizer.clip_norm",
            step.step, step.learning_rate, step.passages
        ))
    }

    fn say(&self, loss: f64, learning_rate: f64, rate: f64) {
        let progress = self.progress();
        let fraction = self.config.budget.fraction(&progress);
        // By the pace of this process: what an earlier one took may have been on another machine.
        let spent = fraction - self.config.budget.fraction(&self.before);
        let pace = self.clock.elapsed().as_secs_f64() / spent.max(1e-9);
        let left = pace * (1.0 - fraction);
        let line = format!(
            "step {:>6}  {:5.1} %  loss {loss:.4}  rate {learning_rate:.2e}  {rate:.0} tokens/s  {} left",
            self.state.step,
            100.0 * fraction.min(1.0),
            indicatif::HumanDuration(std::time::Duration::from_secs_f64(left.max(0.0)))
        );
        if animated() {
            anstream::eprint!("\r\x1b[2K{line}");
        } else if due_at(self.config.log.every * 10, self.state.step) {
            anstream::eprintln!("{line}");
        }
    }

    /// Evaluates on the fixed set, and on BLiMP if asked, unless a signal asks to stop.
    fn evaluate(&mut self, metrics: &mut JsonLines, evals: &mut JsonLines) -> Result<()> {
        self.log(metrics)?;
        if self.valid.is_empty() && self.config.evaluation.blimp.as_os_str().is_empty() {
            self.evaluated = Some(self.state.step);
            return Ok(());
        }
        let device = self.stepper.device.clone().without_autodiff();
        let (model, workers) = (self.stepper.model().valid(), self.stepper.workers.clone());
        let state = &mut self.state;
        let mut record = json!({"step": state.step, "tokens": state.tokens, "flops": state.flops, "seconds": state.seconds});
        let mut line = format!("step {:>6}", state.step);
        if !self.valid.is_empty() {
            let (objective, batch) = (self.recipe.objective.as_ref(), self.config.evaluation.batch);
            let means =
                match loss::evaluate(objective, &model, &self.valid, batch, &device, &workers) {
                    Ok(means) => means,
                    // The evaluation is dropped and made up for later; the caller saves and stops.
                    Err(_interrupted) => return Ok(()),
                };
            record["loss"] = json!(means.loss);
            line += &format!("  valid loss {:.4}", means.loss);
            if let Some(uncertainty) = means.uncertainty {
                record["bits"] = json!(uncertainty.bits);
                record["perplexity"] = json!(uncertainty.perplexity);
                line += &format!("  perplexity {:.2}", uncertainty.perplexity);
            }
            let telling = |metric: &&Metric| {
                ["accuracy", "auc", "exact", "spearman"]
                    .iter()
                    .any(|end| metric.name.ends_with(end))
            };
            for metric in means
                .metrics
                .iter()
                .filter(telling)
                .filter(|metric| !metric.name.contains("masked"))
            {
                line += &format!("  {} {:.4}", metric.name, metric.mean);
            }
            means.metrics.iter().for_each(|metric| record[&metric.name] = json!(metric.mean));
            if means.targets == 0.0 {
                tracing::warn!(
                    "the validation text gives nothing to predict; give more of it, or other evaluation masks"
                );
            }
            state.valid_loss = Some(means.loss).filter(|loss| loss.is_finite());
            let score = match objective.goal() {
                Goal::LowestLoss => -means.loss,
                Goal::Highest(name) => means.metric(name).map_or(-means.loss, |metric| metric.mean),
            };
            let better =
                |best: Best| score > best.score || (score == best.score && means.loss < best.loss);
            if score.is_finite() && state.best.is_none_or(better) {
                state.best = Some(Best { step: state.step, loss: means.loss, score });
            }
        }
        let folder = &self.config.evaluation.blimp;
        if !folder.as_os_str().is_empty() {
            let loaded: Loaded<O> = Loaded {
                objective: self.recipe.objective.clone(),
                knobs: self.config.objective_knobs(),
                encoder: self.encoder.clone(),
                teacher: None,
                model,
                tokenizer: self.tokenizer.clone(),
                counts: None,
                positions: self.encoder.positions,
                device,
                workers,
            };
            match blimp::score(&loaded, folder, self.config.evaluation.blimp_pairs, |_, _| {}) {
                Ok(accuracies) => {
                    line += &format!("  BLiMP {:.2} %", 100.0 * accuracies.overall);
                    record["blimp"] = serde_json::to_value(&accuracies.phenomena)?;
                    record["blimp/overall"] = json!(accuracies.overall);
                    record["blimp/overall_l2r"] = json!(accuracies.overall_l2r);
                }
                Err(error) if error.is::<signals::Interrupted>() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        evals.write(&record)?;
        self.evaluated = Some(self.state.step);
        self.outdated = true;
        self.tick();
        anstream::eprintln!("{}{line}", if animated() { "\r\x1b[2K" } else { "" });
        self.logged = Instant::now();
        Ok(())
    }

    /// Writes a checkpoint of this step, unless there is one.
    fn save(&mut self, metrics: &mut JsonLines) -> Result<()> {
        // A loss that is not finite must not reach a checkpoint.
        self.log(metrics)?;
        if self.saved == Some(self.state.step) && !self.outdated {
            return Ok(());
        }
        let state: Value = serde_json::to_value(&self.state)?;
        let files = [
            ("model.safetensors", weights::bytes(&weights::collect(self.stepper.model()))?),
            ("optimizer.safetensors", weights::bytes(&self.stepper.optimizer.state())?),
        ];
        checkpoint::write(&self.out, self.state.step, &files, &state)?;
        let (keep, best) = (self.config.checkpoint.keep, self.state.best.map(|best| best.step));
        checkpoint::prune(&self.out, keep, self.state.step, best)?;
        (self.saved, self.outdated) = (Some(self.state.step), false);
        self.tick();
        self.logged = Instant::now();
        Ok(())
    }
}

fn due_at(every: u64, step: u64) -> bool {
    every > 0 && step.is_multiple_of(every)
}
