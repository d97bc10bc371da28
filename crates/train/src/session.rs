//! The loop: forward, backward, step, log, evaluate, save.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use checkpoint::{Checkpoint, folder, weights};
use objective::{Objective, Workers};
use serde_json::{Map, Value, json};
use trunk::EncoderConfig;

use crate::budget::BudgetProgress;
use crate::course::{Course, Standing};
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::feed::{Feed, GlobalBatch, Recipe};
use crate::groups::Groups;
use crate::jsonl::JsonLines;
use crate::monitor::{Evaluation, LogLine, Monitor, Outcome};
use crate::optimizer::Optimizer;
use crate::plan::{self, Plan};
use crate::settings::Settings;
use crate::state::{Best, Sources, State, Summary};
use crate::step::Stepper;
use crate::token_weights::TokenWeights;
use crate::window::{LogWindow, PendingStep, TermMean};

/// Everything that is decided before a run starts.
#[derive(Debug)]
pub struct Run<O: Objective> {
    /// The run's folder, which exists.
    pub folder: PathBuf,
    /// What the run is told.
    pub settings: Settings,
    /// The objective.
    pub objective: Arc<O>,
    /// The shape of the encoder, the vocabulary known.
    pub encoder: EncoderConfig,
    /// The model with its initial weights, on `device`.
    pub model: O::Model,
    /// The training examples.
    pub examples: Examples,
    /// Hashes of the data.
    pub sources: Sources,
    /// The device, with autodiff.
    pub device: Device,
}

/// A run in progress.
pub struct Session<O: Objective> {
    folder: PathBuf,
    settings: Settings,
    encoder: EncoderConfig,
    recipe: Arc<Recipe<O>>,
    stepper: Stepper<O>,
    state: State,
    /// How often each token is chosen, where that follows the outcomes.
    token_weights: Option<TokenWeights>,
    clock: Clock,
    window: LogWindow,
    /// Targets of each loss term so far; none once they have been checked.
    targets: Option<Vec<f64>>,
    saved: Saved,
    /// The step of the last evaluation.
    evaluated: Option<u64>,
}

/// When this process began to train, and the run's progress by then.
struct Clock {
    started: Instant,
    before: BudgetProgress,
}

/// The last checkpoint.
#[derive(Default)]
struct Saved {
    step: Option<u64>,
    /// Whether an evaluation came after it.
    is_outdated: bool,
}

/// The logs of a run.
struct Logs {
    metrics: JsonLines,
    evaluations: JsonLines,
}

impl<O: Objective> Run<O> {
    /// The batches of the run.
    fn recipe(settings: &Settings, objective: Arc<O>, examples: Examples) -> Recipe<O> {
        let Settings { seed, step, .. } = *settings;
        Recipe { objective, examples, seed, step, groups: Groups::new(step.group) }
    }

    /// What the run would take, given that it takes `memory` bytes, and its first examples. Two
    /// steps are computed to measure the time.
    pub fn plan(self, memory: f64) -> Plan {
        let recipe = Self::recipe(&self.settings, self.objective, self.examples);
        plan::plan(&self.settings, &self.encoder, &recipe, &self.model, &self.device, memory)
    }
}

impl<O: Objective> Session<O> {
    /// A run at step 0.
    ///
    /// # Errors
    /// When there are no threads for it.
    pub fn new(run: Run<O>) -> Result<Self> {
        let Run { folder, settings, objective, encoder, model, examples, sources, device } = run;
        let workers = Arc::new(Workers::new(&device, settings.step.passes())?);

        let (attention, feed_forward) = encoder.sharing.distinct(encoder.layers);
        let optimizer = Optimizer::new(settings.optimizer.clone(), attention.max(feed_forward));
        let stepper = Stepper::new(objective.clone(), model, optimizer, device, workers);
        let token_weights = objective
            .token_weighting()
            .map(|weighting| TokenWeights::new(weighting, encoder.vocabulary));
        let recipe = Arc::new(Run::recipe(&settings, objective, examples));

        Ok(Self {
            folder,
            settings,
            encoder,
            recipe,
            stepper,
            state: State { sources, ..State::default() },
            token_weights,
            clock: Clock { started: Instant::now(), before: BudgetProgress::default() },
            window: LogWindow::default(),
            targets: Some(Vec::new()),
            saved: Saved::default(),
            evaluated: None,
        })
    }

    /// Goes on from a checkpoint of this run.
    ///
    /// # Errors
    /// When it belongs to another model, or the run's data have changed.
    pub fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let state = read_state(checkpoint)?;
        if let Some(part) = self.state.sources.changed(&state.sources) {
            return Err(Error::Data(format!(
                "{}: the run was begun with other data: its {part} changed since; put back what \
                 was there, or give another --out",
                self.folder.display()
            )));
        }

        self.saved.step = Some(state.step);
        self.targets = None;
        self.state = state;
        self.load(checkpoint)
    }

    /// Starts from a checkpoint of another run, whose data may be others.
    ///
    /// # Errors
    /// When it belongs to another model.
    pub fn start_from(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let state = read_state(checkpoint)?;
        let sources = std::mem::take(&mut self.state.sources);

        // Another text is read from its beginning. The other run's best evaluation is not kept: it
        // says nothing about this run.
        let has_same_text = sources.examples == state.sources.examples;
        let size = self.settings.step.size as u64;
        let rows = if has_same_text { self.recipe.groups.begin(state.rows, size) } else { 0 };
        self.state = State { sources, rows, best: None, valid_loss: None, ..state };
        self.load(checkpoint)
    }

    /// The learning rate of the next step if the run had these settings.
    pub fn learning_rate(&self, settings: &Settings) -> f64 {
        let spent = settings.budget.fraction(&self.progress());
        settings.optimizer.learning_rate * settings.schedule.factor(spent)
    }

    /// Takes over weights and moments.
    fn load(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let read = |file: &str| weights::read(&checkpoint.path.join(file));
        let kept = read("optimizer.safetensors")?;
        if let Some(weights) = &mut self.token_weights {
            weights.restore(&kept, self.state.step);
        }
        self.stepper.restore(&read("model.safetensors")?, &kept)
    }

    /// Trains until the budget is spent.
    ///
    /// # Errors
    /// A loss that is not finite, a full disk, a failing evaluation, or [`Error::Interrupted`]
    /// after saving.
    pub fn train(mut self, monitor: &mut dyn Monitor<O>) -> Result<Summary> {
        let mut logs = Logs {
            metrics: JsonLines::open(&self.folder.join("metrics.jsonl"), self.state.step)?,
            evaluations: JsonLines::open(&self.folder.join("evals.jsonl"), self.state.step)?,
        };
        self.evaluated = logs.evaluations.last;
        let standing =
            Standing { step: self.state.step, rows: self.state.rows, fraction: self.fraction() };
        let mut feed =
            Feed::start(&self.recipe, self.course(), standing, self.token_weights.as_ref())?;
        self.clock = Clock { started: Instant::now(), before: self.progress() };
        self.window.restart_clock();

        // An evaluation that an interruption cut short is repeated.
        let step = self.state.step;
        let is_due = is_due(self.settings.evaluate_every, step);
        if step > 0 && is_due && self.evaluated != Some(step) {
            self.evaluate(monitor, &mut logs)?;
            self.stop_if_asked(monitor, &mut logs)?;
        }

        while !self.settings.budget.exhausted(&self.progress()) {
            let asked = Instant::now();
            let batch = feed.next(self.fraction(), self.token_weights.as_ref())?;
            self.window.wait(asked.elapsed().as_secs_f64());
            self.step(batch)?;
            self.after_step(monitor, &mut logs)?;
        }

        self.log(monitor, &mut logs)?;
        if self.evaluated != Some(self.state.step) {
            self.evaluate(monitor, &mut logs)?;
            if self.evaluated != Some(self.state.step) {
                self.stop_if_asked(monitor, &mut logs)?;
            }
        }
        self.save(monitor, &mut logs)?;
        Ok(self.summary())
    }

    /// Logs, evaluates, saves and stops, as far as each is due.
    fn after_step(&mut self, monitor: &mut dyn Monitor<O>, logs: &mut Logs) -> Result<()> {
        self.read_clock();

        let step = self.state.step;
        if is_due(self.settings.log.every, step) {
            self.log(monitor, logs)?;
        }
        if is_due(self.settings.evaluate_every, step) {
            self.evaluate(monitor, logs)?;
        }

        let is_best = self.state.best.is_some_and(|best| best.step == step);
        if is_due(self.settings.checkpoint.every, step) || is_best {
            self.save(monitor, logs)?;
        }

        if !self.settings.budget.exhausted(&self.progress()) {
            self.stop_if_asked(monitor, logs)?;
        }

        Ok(())
    }

    /// Saves and stops if the monitor asks for it.
    fn stop_if_asked(&mut self, monitor: &mut dyn Monitor<O>, logs: &mut Logs) -> Result<()> {
        if !monitor.should_stop() {
            return Ok(());
        }
        self.save(monitor, logs)?;
        monitor.stopped(self.state.step);
        Err(Error::Interrupted)
    }

    fn read_clock(&mut self) {
        let Clock { started, before } = &self.clock;
        self.state.seconds = before.seconds + started.elapsed().as_secs_f64();
    }

    fn progress(&self) -> BudgetProgress {
        BudgetProgress {
            step: self.state.step,
            tokens: self.state.tokens,
            epochs: self.state.rows as f64 / self.recipe.examples.len() as f64,
            flops: self.state.flops,
            seconds: self.state.seconds,
        }
    }

    /// The share of the budget that is spent.
    fn fraction(&self) -> f64 {
        self.settings.budget.fraction(&self.progress())
    }

    /// How the steps of this run change over its budget.
    fn course(&self) -> Course {
        let Settings { step, course, budget, .. } = &self.settings;
        Course::new(course.clone(), *step, budget, || self.recipe.whole_step(&self.encoder))
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
        let factor = self.settings.schedule.factor(self.fraction());
        let learning_rate = self.settings.optimizer.learning_rate * factor;

        self.state.flops += self.recipe.flops(&self.encoder, &batch);
        self.state.step += 1;
        self.state.rows += batch.rows;
        self.state.tokens += batch.tokens;

        let (tokens, padded_tokens) = (batch.tokens, batch.padded_tokens);
        let (passages, target_counts) = (batch.passages.clone(), batch.target_counts.clone());
        let mut losses = self.stepper.step(batch, factor)?;
        let step = self.state.step;
        if let Some(weights) = &mut self.token_weights {
            weights.follow(std::mem::take(&mut losses.outcomes), step);
        }
        let pending = PendingStep { step, learning_rate, passages, target_counts, losses };
        self.window.add(pending, tokens, padded_tokens);
        Ok(())
    }

    /// Writes a record of the steps since the last one, if there was one.
    fn log(&mut self, monitor: &mut dyn Monitor<O>, logs: &mut Logs) -> Result<()> {
        let kept = match self.saved.step {
            Some(step) => format!("the last good checkpoint, step {step}, is kept"),
            None => "there is no checkpoint yet".to_owned(),
        };
        let Some(window) = self.window.read(&kept)? else { return Ok(()) };
        self.warn_without_targets(&window.terms);

        let mut record = window.record();
        self.add_position(&mut record);
        logs.metrics.write(record)?;
        self.window.restart_clock();

        let fraction = self.fraction();
        // The pace of this process: an earlier process may have run on another machine.
        let spent = fraction - self.settings.budget.fraction(&self.clock.before);
        let pace = self.clock.started.elapsed().as_secs_f64() / spent.max(1e-9);
        monitor.logged(&LogLine {
            step: self.state.step,
            fraction,
            loss: window.loss,
            learning_rate: window.learning_rate,
            tokens_per_second: window.tokens_per_second,
            seconds_left: (pace * (1.0 - fraction)).max(0.0),
        });
        Ok(())
    }

    /// Adds the run's progress to a log record.
    fn add_position(&self, record: &mut Map<String, Value>) {
        let State { step, tokens, seconds, .. } = &self.state;
        record.insert("step".to_owned(), json!(step));
        record.insert("tokens".to_owned(), json!(tokens));
        record.insert("seconds".to_owned(), json!(seconds));
    }

    /// Warns once when a loss term has had no target in all of the first few hundred sequences.
    fn warn_without_targets(&mut self, terms: &[TermMean]) {
        const SEQUENCES: u64 = 256;
        let Some(targets) = &mut self.targets else { return };

        targets.resize(terms.len(), 0.0);
        targets.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term.targets);
        if self.state.step * (self.settings.step.size as u64) < SEQUENCES {
            return;
        }

        for (term, _) in terms.iter().zip(targets).filter(|(_, targets)| **targets == 0.0) {
            tracing::warn!(
                "{} has had nothing to predict so far, so that nothing is learnt of it: does the \
                 text have sentences, and documents with an empty line between them?",
                term.name
            );
        }
        self.targets = None;
    }

    /// Has the monitor evaluate the model.
    fn evaluate(&mut self, monitor: &mut dyn Monitor<O>, logs: &mut Logs) -> Result<()> {
        self.log(monitor, logs)?;
        let model = self.stepper.judged().valid();
        let outcome = monitor.evaluate(model, &self.stepper.workers, &self.progress())?;
        let evaluation = match outcome {
            Outcome::Complete(evaluation) => evaluation,
            Outcome::Nothing => {
                self.evaluated = Some(self.state.step);
                return Ok(());
            }
            // The evaluation is repeated on resuming; the caller saves and stops.
            Outcome::Interrupted => return Ok(()),
        };

        self.remember(&evaluation);
        let mut record = evaluation.record;
        self.add_position(&mut record);
        record.insert("flops".to_owned(), json!(self.state.flops));
        logs.evaluations.write(record)?;
        self.evaluated = Some(self.state.step);
        self.saved.is_outdated = true;
        self.read_clock();
        self.window.restart_clock();
        Ok(())
    }

    /// Remembers the last validation loss and the best evaluation.
    fn remember(&mut self, evaluation: &Evaluation) {
        let Some(loss) = evaluation.loss else { return };
        let score = evaluation.score;
        self.state.valid_loss = Some(loss).filter(|loss| loss.is_finite());

        let is_better =
            |best: Best| score > best.score || (score == best.score && loss < best.loss);
        if score.is_finite() && self.state.best.is_none_or(is_better) {
            self.state.best = Some(Best { step: self.state.step, loss, score });
        }
    }

    /// Writes a checkpoint of this step, unless there is one.
    fn save(&mut self, monitor: &mut dyn Monitor<O>, logs: &mut Logs) -> Result<()> {
        // A loss that is not finite must not reach a checkpoint.
        self.log(monitor, logs)?;
        let step = self.state.step;
        if self.saved.step == Some(step) && !self.saved.is_outdated {
            return Ok(());
        }

        let state = serde_json::to_value(&self.state).expect("a state is JSON");
        let (judged, mut kept) = self.stepper.kept();
        kept.extend(self.token_weights.iter().flat_map(TokenWeights::state));
        let files = [
            ("model.safetensors", weights::bytes(&judged)?),
            ("optimizer.safetensors", weights::bytes(&kept)?),
        ];
        folder::write(&self.folder, step, &files, &state)?;

        let best = self.state.best.map(|best| best.step);
        folder::prune(&self.folder, self.settings.checkpoint.keep, step, best)?;

        self.saved = Saved { step: Some(step), is_outdated: false };
        self.read_clock();
        self.window.restart_clock();
        Ok(())
    }
}

fn read_state(checkpoint: &Checkpoint) -> Result<State> {
    serde_json::from_value(checkpoint.state.clone())
        .map_err(|error| Error::Data(format!("{}: {error}", checkpoint.path.display())))
}

fn is_due(every: u64, step: u64) -> bool {
    every > 0 && step.is_multiple_of(every)
}
