//! `pretrain`: from a configuration to a run's folder.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use burn::tensor::Device;
use corpus::Tokenizer;
use objective::{Example, Objective};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use toml::Table;
use trunk::EncoderConfig;

use super::checkpoint;
use super::data::{Examples, Text, evaluation_set};
use super::feed::Recipe;
use super::groups::Groups;
use super::log::{RunRow, append_row, write_aside, write_json};
use super::plan;
use super::session::Session;
use super::state::Summary;
use super::weights::{self, Weights};
use crate::cli::report::report;
use crate::config::{RunConfig, differing_keys, parse};
use crate::eval::blimp;
use crate::exit::BadInput;
use crate::model;
use crate::progress::Progress;
use crate::teacher;

/// What to do with what is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Continue the run in the folder.
    Auto,
    /// Refuse a folder that is not empty.
    Never,
    /// Start from the last good checkpoint of another run.
    From(PathBuf),
}

impl FromStr for Resume {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "auto" => Self::Auto,
            "never" => Self::Never,
            folder => Self::From(folder.into()),
        })
    }
}

/// A run to be done.
#[derive(Debug)]
pub struct PretrainJob<'a> {
    /// The complete configuration.
    pub config: &'a RunConfig,
    /// The run's folder.
    pub out: &'a Path,
    /// What to do with what is there already.
    pub resume: &'a Resume,
    /// Only check and tell.
    pub dry_run: bool,
    /// Print the summary as JSON.
    pub json: bool,
}

/// Keys that change no result: a run may be continued with others.
const FREE_KEYS: [&str; 3] = ["threads", "corpus.cache", "data.test"];

/// Trains the objective `O`.
///
/// # Errors
/// Bad configuration or data, a folder that holds something else, a loss that is not finite, a full
/// disk, a signal.
pub fn pretrain<O: Objective>(job: &PretrainJob<'_>) -> Result<()> {
    let config = job.config;
    let state = inspect_folder(job)?;
    if let Folder::Finished(summary) = &state {
        anstream::eprintln!("{} is finished; nothing to do", job.out.display());
        return report(job.json, summary);
    }
    let device = config.backend.open()?;
    let progress = Progress::default();
    let text = Text::prepare(config, &progress)?;
    let mut encoder = config.encoder.clone();
    model::fit_vocabulary(&mut encoder, &text.tokenizer)?;
    let mut context = text.context(config.corpus.max_length, &encoder);
    context.teacher = teacher::open(&config.teacher, &device)?;
    let objective = O::new(parse(config.objective_knobs(), "objective.")?, &context)?;
    if objective.needs_teacher() && context.teacher.is_none() {
        return Err(BadInput(format!(
            "the objective `{}` needs a teacher: give --teacher DIR",
            O::NAME
        ))
        .into());
    }
    let examples = text.train.passages(&config.corpus, &objective, &progress)?;
    let valid = match &text.valid {
        Some(source) => {
            let passages = source.passages(&config.corpus, &objective, &progress)?;
            evaluation_set(
                &passages,
                config.evaluation.passages,
                config.evaluation.seed,
                &objective,
            )
        }
        None => Vec::new(),
    };
    let start = Weights::new();
    let (tokenizer, counts) = (text.tokenizer, context.counts);
    let material =
        Material { objective, encoder, tokenizer, counts, examples, valid, start, device };
    let summary = train(job, state, material)?;
    summary.map_or(Ok(()), |summary| report(job.json, &serde_json::to_value(summary)?))
}

/// The file in a run's folder with the counts of the tokens of its training text.
pub const TOKEN_COUNTS: &str = "token_counts.json";

/// What a run is made of.
#[derive(Debug)]
pub struct Material<O> {
    /// The objective.
    pub objective: O,
    /// Shape of the encoder, the vocabulary known.
    pub encoder: EncoderConfig,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// How often each token occurs in the training text; empty where there is none.
    pub counts: Vec<u64>,
    /// What it trains on.
    pub examples: Examples,
    /// What it is evaluated on; may be empty.
    pub valid: Vec<Example>,
    /// Parameters that do not start by chance.
    pub start: Weights,
    /// Where to compute.
    pub device: Device,
}

/// Trains in a folder that holds nothing, or the same run unfinished; nothing comes of a dry run.
///
/// # Errors
/// As [`pretrain`].
pub fn train<O: Objective>(
    job: &PretrainJob<'_>,
    state: Folder,
    material: Material<O>,
) -> Result<Option<Summary>> {
    let (
        config,
        Material { objective, encoder, tokenizer, counts, examples, valid, start, device },
    ) = (job.config, material);
    if !encoder.precision.is_native() {
        tracing::warn!(
            "this processor has no instructions for bfloat16: encoder.precision = \"f32\" is faster here"
        );
    }
    if !config.evaluation.blimp.as_os_str().is_empty() {
        blimp::files(&config.evaluation.blimp)?;
    }
    plan::check_memory(config, &encoder)?;
    let device = device.autodiff();
    let device =
        if encoder.gradient_checkpointing { device.gradient_checkpointing() } else { device };
    let model = objective.init(&encoder, &mut ChaCha8Rng::seed_from_u64(config.seed), &device);
    let model = match config.init.as_os_str().is_empty() {
        true => model,
        false => model::start_from(&objective, model, &config.init, &tokenizer)?,
    };
    let model = if start.is_empty() {
        model
    } else {
        let initial = weights::collect(&model).into_iter().chain(start).collect();
        weights::load(model, &initial)?
    };
    let recipe = Arc::new(Recipe {
        objective: Arc::new(objective),
        examples,
        seed: config.seed,
        size: config.batch.size,
        micro: config.micro_batch(),
        groups: Groups::new(config.batch.group),
    });
    if job.dry_run {
        plan::tell(job, &encoder, &recipe, &model, &tokenizer, &device)?;
        return Ok(None);
    }
    let _lock = lock(job.out)?;
    if let Folder::Empty = state {
        write_aside(&job.out.join("run.toml"), toml::to_string(config)?.as_bytes())?;
    }
    let mut session =
        Session::new(config, job.out, encoder, recipe, model, tokenizer.clone(), valid, device)?;
    let good = checkpoint::latest_good(job.out)?;
    good.warnings.iter().for_each(|warning| anstream::eprintln!("warning: {warning}"));
    match (good.checkpoint, job.resume) {
        (Some(found), _) => {
            session.restore(&found, true)?;
            checkpoint::point_to(job.out, found.step)?;
        }
        (None, Resume::From(folder)) => {
            let other = checkpoint::latest_good(folder)?;
            other.warnings.iter().for_each(|warning| anstream::eprintln!("warning: {warning}"));
            let message =
                || BadInput(format!("--resume {}: no good checkpoint there", folder.display()));
            session.restore(&other.checkpoint.ok_or_else(message)?, false)?;
        }
        (None, _) => {}
    }
    // Not before it is known that they are the run's own.
    tokenizer.save(&job.out.join("tokenizer.json"))?;
    if !counts.is_empty() {
        write_json(&job.out.join(TOKEN_COUNTS), &counts)?;
    }
    let summary = session.train()?;
    finish(job, &summary)?;
    Ok(Some(summary))
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
    let beside = job
        .out
        .canonicalize()
        .ok()
        .and_then(|out| out.parent().map(|parent| parent.join("runs.csv")));
    append_row(&beside.unwrap_or_else(|| PathBuf::from("runs.csv")), &row)?;
    write_json(&job.out.join("summary.json"), summary)
}

/// What the run's folder holds.
#[derive(Debug)]
pub enum Folder {
    /// Nothing.
    Empty,
    /// This run, not at its end.
    Unfinished,
    /// This run, and its summary.
    Finished(serde_json::Value),
}

/// Looks into the run's folder.
///
/// # Errors
/// When it holds something else, or a run with another configuration.
pub fn inspect_folder(job: &PretrainJob<'_>) -> Result<Folder> {
    let out = job.out.display();
    let occupied = match fs::read_dir(job.out) {
        Ok(mut entries) => {
            entries.any(|entry| entry.is_ok_and(|entry| !is_trace(&entry.file_name())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(BadInput(format!("--out {out}: {error}")).into()),
    };
    if !occupied {
        return Ok(Folder::Empty);
    }
    let path = job.out.join("run.toml");
    if !path.is_file() {
        return Err(BadInput(format!(
            "--out {out} is not empty and holds no run; give another folder"
        ))
        .into());
    }
    if *job.resume == Resume::Never {
        return Err(
            BadInput(format!("--out {out} holds a run, and --resume never was given")).into()
        );
    }
    let there = model::run_config(job.out)?;
    let differing = differing_keys(&comparable(&there)?, &comparable(job.config)?);
    if !differing.is_empty() {
        return Err(BadInput(format!(
            "--out {out} holds a run with another configuration; these differ: {}. Give another folder, or the same \
             configuration to continue it",
            differing.join(", ")
        ))
        .into());
    }
    let Ok(text) = fs::read_to_string(job.out.join("summary.json")) else {
        return Ok(Folder::Unfinished);
    };
    let summary: serde_json::Value =
        serde_json::from_str(&text).context("summary.json is damaged; remove it")?;
    let newest = checkpoint::latest_good(job.out)?.checkpoint.map(|checkpoint| checkpoint.step);
    if newest != summary["step"].as_u64() {
        tracing::warn!(
            "{out} was finished, but its last checkpoint is gone or damaged; what is missing is trained again"
        );
        return Ok(Folder::Unfinished);
    }
    Ok(Folder::Finished(summary))
}

fn comparable(config: &RunConfig) -> Result<Table> {
    let mut table = Table::try_from(config)?;
    for key in FREE_KEYS {
        let (parent, name) = key.split_once('.').unwrap_or(("", key));
        match table.get_mut(parent).and_then(toml::Value::as_table_mut) {
            Some(parent) => parent.remove(name),
            None => table.remove(name),
        };
    }
    Ok(table)
}

const LOCK: &str = ".lock";

/// Whether a file is nothing but what a run leaves that was killed before it wrote anything.
fn is_trace(name: &OsStr) -> bool {
    name == LOCK || name.to_string_lossy().ends_with(".tmp")
}

/// Makes the folder and keeps other processes out of it for as long as the file is open.
fn lock(out: &Path) -> Result<File> {
    let context = || format!("cannot write the run's folder {}", out.display());
    fs::create_dir_all(out).with_context(context)?;
    let file = File::create(out.join(LOCK)).with_context(context)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(BadInput(format!("--out {} is in use by another process", out.display())).into())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(context),
    }
}
