//! Training in a run's folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use burn::tensor::Device;
use checkpoint::{Weights, folder, weights, write_aside, write_json};
use corpus::Tokenizer;
use objective::{Example, Objective};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;
use toml::Table;
use train::{Examples, Plan, Run, RunRow, Session, Sources, Summary, append_row, evaluation_set};
use trunk::EncoderConfig;

use super::build::build;
use super::folder::{FolderState, Resume, inspect, lock};
use super::monitor::RunMonitor;
use super::text::{PreparedText, TextStatistics};
use crate::backend::Backend;
use crate::config::{RunConfig, TOKEN_COUNTS};
use crate::exit::BadInput;
use crate::progress::Progress;
use crate::{model, signals};

/// A run to be done.
#[derive(Debug)]
pub struct PretrainJob<'a> {
    /// The complete configuration.
    pub config: &'a RunConfig,
    /// The run's folder.
    pub out: &'a Path,
    /// What to do with a folder that holds a run already.
    pub resume: &'a Resume,
    /// Only check, and plan.
    pub dry_run: bool,
}

/// How a job ended.
#[derive(Debug)]
pub enum PretrainOutcome {
    /// The run was finished before; its summary.
    Finished(Value),
    /// The run is finished now.
    Trained(Summary),
    /// The run was only planned.
    Planned(Plan, Arc<Tokenizer>),
}

/// What a run is made of, besides its configuration.
#[derive(Debug)]
pub struct Material<O> {
    /// The objective.
    pub objective: O,
    /// Shape of the encoder, the vocabulary known.
    pub encoder: EncoderConfig,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// What is known about the training text as a whole.
    pub statistics: TextStatistics,
    /// Training examples.
    pub examples: Examples,
    /// Validation examples; may be empty.
    pub valid: Vec<Example>,
    /// Initial values given rather than drawn.
    pub initial: Weights,
    /// Where to compute.
    pub device: Device,
}

/// The configuration with all knobs of the objective `O`, those that it lacks at their defaults.
///
/// # Errors
/// When a knob is unknown.
pub fn complete<O: Objective>(mut config: RunConfig) -> Result<RunConfig> {
    if config.objective_name()? == O::NAME {
        let knobs: O::Config = settings::parse(config.objective_knobs(), "objective.")?;
        let mut table = Table::try_from(knobs)?;
        table.insert("name".to_owned(), O::NAME.into());
        config.objective = table;
    }
    Ok(config)
}

impl PretrainJob<'_> {
    /// What the run's folder holds.
    ///
    /// # Errors
    /// When it holds something else, or a run with another configuration.
    pub fn folder_state<O: Objective>(&self) -> Result<FolderState> {
        inspect(self.out, self.config, self.resume, complete::<O>)
    }
}

/// Trains the objective `O` on text.
///
/// # Errors
/// Bad configuration or data, a folder that holds something else, a loss that is not finite, a full
/// disk, a signal.
pub fn pretrain<O: Objective>(job: &PretrainJob<'_>) -> Result<PretrainOutcome> {
    let config = job.config;
    let state = job.folder_state::<O>()?;
    if let FolderState::Finished(summary) = state {
        return Ok(PretrainOutcome::Finished(summary));
    }

    let device = config.backend.open()?;
    let progress = Progress::default();
    let text = PreparedText::new(config, &progress)?;

    if O::NEEDS_TEACHER && config.teacher.as_os_str().is_empty() {
        let name = O::NAME;
        let message = format!("the objective `{name}` needs a teacher: give --teacher DIR");
        return Err(BadInput(message).into());
    }

    let statistics = text.statistics(&config.corpus)?;
    let (objective, encoder): (O, _) = build(config, &text.tokenizer, statistics.clone(), &device)?;

    let packing = objective.packing();
    let examples = text.train.passages(&config.corpus, packing, &progress)?;
    let valid = match &text.valid {
        Some(source) => {
            let passages = source.passages(&config.corpus, packing, &progress)?;
            let evaluation = &config.evaluation;
            let partner_epoch = objective.partner_epoch(Example::EVALUATION);
            evaluation_set(&passages, evaluation.passages, evaluation.seed, partner_epoch)
        }
        None => Vec::new(),
    };

    let material = Material {
        objective,
        encoder,
        tokenizer: text.tokenizer,
        statistics,
        examples,
        valid,
        initial: Weights::new(),
        device,
    };

    train(job, &state, material)
}

/// Trains in a folder that holds nothing, or the same run unfinished.
///
/// # Errors
/// As [`pretrain`].
pub fn train<O: Objective>(
    job: &PretrainJob<'_>,
    state: &FolderState,
    material: Material<O>,
) -> Result<PretrainOutcome> {
    let config = job.config;
    check(config, &material.encoder)?;

    let tokenizer = Arc::new(material.tokenizer);
    let objective = Arc::new(material.objective);
    let mut monitor = RunMonitor::new(
        config,
        objective.clone(),
        material.encoder.clone(),
        tokenizer.clone(),
        material.valid,
        &material.device,
    );

    let device = training_device(&material.device, &material.encoder);
    let encoder = material.encoder;
    let model =
        initial_model(config, objective.as_ref(), &encoder, &tokenizer, material.initial, &device)?;
    let teacher = teacher_weights(&config.teacher)?;
    let mut sources = Sources::new(&material.examples, monitor.valid(), teacher.as_ref())?;
    if let Some(ngrams) = &material.statistics.ngrams {
        sources.ngrams = ngrams.hash().to_owned();
    }
    let run = Run {
        folder: job.out.to_owned(),
        settings: config.train_settings(),
        objective,
        encoder,
        model,
        examples: material.examples,
        sources,
        device,
    };

    if job.dry_run {
        return Ok(PretrainOutcome::Planned(plan(config, run), tokenizer));
    }

    train_in_folder(job, state, run, &mut monitor, &tokenizer, &material.statistics.token_counts)
}

/// The device to train on: `device` with derivatives, and with gradient checkpointing where
/// `encoder` asks for it.
fn training_device(device: &Device, encoder: &EncoderConfig) -> Device {
    let device = device.clone().autodiff();
    if encoder.gradient_checkpointing { device.gradient_checkpointing() } else { device }
}

/// Trains `run` to its end and writes the files beside its checkpoints.
fn train_in_folder<O: Objective>(
    job: &PretrainJob<'_>,
    state: &FolderState,
    run: Run<O>,
    monitor: &mut RunMonitor<O>,
    tokenizer: &Tokenizer,
    token_counts: &[u64],
) -> Result<PretrainOutcome> {
    let _lock = lock(job.out)?;
    if let FolderState::Empty = state {
        write_aside(&job.out.join("run.toml"), toml::to_string(job.config)?.as_bytes())?;
    }

    let session = start(job, run)?;
    if let FolderState::Extended(before) = state {
        tell_jump(&session, before, job.config);
        // Without its summary, the run counts as unfinished whatever its budget.
        remove_summary(job.out)?;
        write_aside(&job.out.join("run.toml"), toml::to_string(job.config)?.as_bytes())?;
    }
    // `start` has checked by now that the tokenizer and the counts are the run's own.
    tokenizer.save(&job.out.join("tokenizer.json"))?;
    if !token_counts.is_empty() {
        write_json(&job.out.join(TOKEN_COUNTS), &token_counts)?;
    }

    let summary = match session.train(monitor) {
        Err(train::Error::Interrupted) => {
            signals::check()?;
            return Err(train::Error::Interrupted.into());
        }
        trained => trained?,
    };
    finish(job, &summary)?;
    Ok(PretrainOutcome::Trained(summary))
}

/// Checks what can be checked before memory and time are spent.
fn check(config: &RunConfig, encoder: &EncoderConfig) -> Result<()> {
    if !encoder.precision.is_native() {
        tracing::warn!(
            "this processor has no instructions for bfloat16: encoder.precision = \"f32\" is \
             faster here"
        );
    }

    if !config.evaluation.blimp.as_os_str().is_empty() {
        eval::blimp::files(&config.evaluation.blimp)?;
    }

    if matches!(config.backend, Backend::Cpu | Backend::Ndarray) {
        config.memory_estimate().check(encoder)?;
    }
    Ok(())
}

/// The model with its initial weights: drawn, taken from another model, or given.
fn initial_model<O: Objective>(
    config: &RunConfig,
    objective: &O,
    encoder: &EncoderConfig,
    tokenizer: &Tokenizer,
    given: Weights,
    device: &Device,
) -> Result<O::Model> {
    let mut model = objective.init(encoder, &mut ChaCha8Rng::seed_from_u64(config.seed), device);

    if !config.init.as_os_str().is_empty() {
        model = model::initialise(objective, model, &config.init, tokenizer)?;
    }

    if !given.is_empty() {
        let initial = weights::collect(&model).into_iter().chain(given).collect();
        model = weights::load(model, &initial)?;
    }

    Ok(model)
}

/// The weights of the teacher in `folder`; none where the path is empty.
fn teacher_weights(folder: &Path) -> Result<Option<Weights>> {
    if folder.as_os_str().is_empty() {
        return Ok(None);
    }
    Ok(Some(model::find(folder)?.weights()?))
}

fn plan<O: Objective>(config: &RunConfig, run: Run<O>) -> Plan {
    let parameters = burn::module::Module::num_params(&run.model) as f64;
    let memory = config.memory_estimate().bytes(&run.encoder, parameters);
    run.plan(memory)
}

/// A session at the last good checkpoint of the run, or at that of another run where the job says
/// so, or at the beginning.
fn start<O: Objective>(job: &PretrainJob<'_>, run: Run<O>) -> Result<Session<O>> {
    let mut session = Session::new(run)?;
    let newest = |folder: &Path| -> Result<_> {
        let newest = folder::latest_good(folder)?;
        newest.warnings.iter().for_each(|warning| anstream::eprintln!("warning: {warning}"));
        Ok(newest.checkpoint)
    };
    let tell = |step: u64, path: &Path| {
        anstream::eprintln!("continuing from step {step} ({})", path.display());
    };

    if let Some(own) = newest(job.out)? {
        session.resume(&own)?;
        tell(own.step, &own.path);
        folder::point_to(job.out, own.step)?;
    } else if let Resume::From(folder) = job.resume {
        let other = newest(folder)?.ok_or_else(|| {
            BadInput(format!("--resume {}: no good checkpoint there", folder.display()))
        })?;
        session.start_from(&other)?;
        tell(other.step, &other.path);
        tell_jump(&session, &*model::run_config(folder)?, job.config);
    }
    Ok(session)
}

/// Tells where the learning rate jumps because the run goes on under another budget or schedule.
fn tell_jump<O: Objective>(session: &Session<O>, before: &RunConfig, now: &RunConfig) {
    let was = session.learning_rate(&before.train_settings());
    let is = session.learning_rate(&now.train_settings());
    if (was - is).abs() > 1e-3 * was.max(is) {
        tracing::warn!(
            "the learning rate jumps from {was:.3e} to {is:.3e}: the schedule is a curve over the \
             whole budget; from here on the rates are those of a run that had this budget from its \
             start"
        );
    }
}

/// Removes the summary of a finished run.
fn remove_summary(run: &Path) -> Result<()> {
    let path = run.join("summary.json");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes `summary.json` and the row in `runs.csv`.
fn finish(job: &PretrainJob<'_>, summary: &Summary) -> Result<()> {
    let run = job.out.display().to_string();
    let row = RunRow {
        run: &run,
        objective: job.config.objective_name()?,
        seed: job.config.seed,
        steps: summary.step,
        tokens: summary.tokens,
        flops: summary.flops,
        seconds: summary.seconds,
        parameters: summary.parameters,
        valid_loss: summary.valid_loss,
        best_loss: summary.best_loss,
        version: env!("CARGO_PKG_VERSION"),
        config: serde_json::to_string(job.config)?,
    };

    let out = job.out.canonicalize().ok();
    let beside = out.and_then(|out| out.parent().map(|parent| parent.join("runs.csv")));
    append_row(&beside.unwrap_or_else(|| PathBuf::from("runs.csv")), &row)?;
    Ok(write_json(&job.out.join("summary.json"), summary)?)
}
