//! The folder of a run: what it holds, and who may write to it.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result};
use checkpoint::folder;
use serde_json::Value;
use settings::differing_keys;
use toml::Table;

use crate::config::RunConfig;
use crate::exit::BadInput;
use crate::model;

/// What to do with a folder that holds a run already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Continue the run in the folder.
    Auto,
    /// Continue the run in the folder with a larger budget.
    Extend,
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

/// What the run's folder holds.
#[derive(Debug)]
pub enum FolderState {
    /// Nothing.
    Empty,
    /// This run, not at its end.
    Unfinished,
    /// This run with a smaller budget; its configuration.
    Extended(Box<RunConfig>),
    /// This run, and its summary.
    Finished(Value),
}

/// Keys that change no result: a run may be continued with others.
const FREE_KEYS: [&str; 3] = ["threads", "corpus.cache", "data.test"];

/// Looks into the folder of the run that `config` describes. `complete` fills in the knobs of the
/// objective that a run's file lacks.
///
/// # Errors
/// When the folder holds something else, or a run with another configuration.
pub fn inspect(
    folder: &Path,
    config: &RunConfig,
    resume: &Resume,
    complete: impl Fn(RunConfig) -> Result<RunConfig>,
) -> Result<FolderState> {
    let out = folder.display();
    let refuse = |reason: String| BadInput(format!("--out {out} {reason}"));

    if !is_occupied(folder)? {
        return match resume {
            Resume::Extend => Err(refuse("holds no run to extend".to_owned()).into()),
            _ => Ok(FolderState::Empty),
        };
    }
    if !folder.join("run.toml").is_file() {
        let reason = "is not empty and holds no run; give another folder";
        return Err(refuse(reason.to_owned()).into());
    }
    if *resume == Resume::Never {
        return Err(refuse("holds a run, and --resume never was given".to_owned()).into());
    }

    let other = complete(*model::run_config(folder)?)?;
    let differing = differing_keys(&comparable(&other)?, &comparable(config)?);
    let only_budget = differing.iter().all(|key| key.starts_with("budget."));
    if *resume == Resume::Extend && only_budget && !differing.is_empty() {
        if !other.budget.is_exceeded_by(&config.budget) {
            let reason =
                "holds a run with a budget that is not smaller; raise it to extend the run";
            return Err(refuse(reason.to_owned()).into());
        }
        return Ok(FolderState::Extended(Box::new(other)));
    }
    if !differing.is_empty() {
        let hint =
            if only_budget { ", or --extend to continue it with a larger budget" } else { "" };
        let reason = format!(
            "holds a run with another configuration; these differ: {}. Give another folder, or the \
             same configuration to continue it{hint}",
            differing.join(", ")
        );
        return Err(refuse(reason).into());
    }

    let Ok(text) = fs::read_to_string(folder.join("summary.json")) else {
        return Ok(FolderState::Unfinished);
    };
    let summary: Value =
        serde_json::from_str(&text).context("summary.json is damaged; remove it")?;

    let newest = folder::latest_good(folder)?.checkpoint.map(|checkpoint| checkpoint.step);
    if newest != summary["step"].as_u64() {
        tracing::warn!(
            "{out} was finished, but its last checkpoint is gone or damaged; what is missing is \
             trained again"
        );
        return Ok(FolderState::Unfinished);
    }

    Ok(FolderState::Finished(summary))
}

/// Whether the folder holds more than the leftovers of a run killed before its first write.
fn is_occupied(folder: &Path) -> Result<bool, BadInput> {
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            Ok(entries.any(|entry| entry.is_ok_and(|entry| !is_leftover(&entry.file_name()))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(BadInput(format!("--out {}: {error}", folder.display()))),
    }
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

/// Whether a file is a leftover of a run killed before its first write.
fn is_leftover(name: &OsStr) -> bool {
    name == LOCK || name.to_string_lossy().ends_with(".tmp")
}

/// Makes the folder and keeps other processes out of it for as long as the file is open.
///
/// # Errors
/// When another process has it, or it cannot be written.
pub fn lock(out: &Path) -> Result<File> {
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
