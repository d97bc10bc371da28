//! The records of a run: `metrics.jsonl`, `evals.jsonl`, `summary.json`, and a row in `runs.csv`
//! beside the run.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

/// A file of JSON lines that each carry a `step`.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: File,
    /// The step of the last record that was there.
    pub last: Option<u64>,
}

impl JsonLines {
    /// Opens `path` for appending. Records of steps after `step` are removed: they come from work
    /// that an interruption undid, and will be written again.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let context = || format!("cannot write {}", path.display());
        let (kept, last) = match File::open(path) {
            Ok(file) => kept_lines(file, step).with_context(context)?,
            Err(_) => (String::new(), None),
        };
        let aside = path.with_extension("jsonl.tmp");
        fs::write(&aside, kept).and_then(|()| fs::rename(&aside, path)).with_context(context)?;
        let file = OpenOptions::new().append(true).open(path).with_context(context)?;
        Ok(Self { path: path.to_owned(), file, last })
    }

    /// Appends one record.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn write(&mut self, record: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(record)?;
        line.push('\n');
        let written = self.file.write_all(line.as_bytes());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// The whole lines of records up to and including `step`, and the step of the last of them.
fn kept_lines(file: File, step: u64) -> std::io::Result<(String, Option<u64>)> {
    let (mut kept, mut last) = (String::new(), None);
    for line in BufReader::new(file).lines() {
        let line = line?;
        let at =
            serde_json::from_str::<Value>(&line).ok().and_then(|record| record["step"].as_u64());
        if at.is_some_and(|at| at <= step) {
            last = at;
            kept.push_str(&line);
            kept.push('\n');
        }
    }
    Ok((kept, last))
}

/// Writes `value` as pretty JSON, aside first.
///
/// # Errors
/// When the disk is full.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    write_aside(path, text.as_bytes())
}

/// Writes a small file aside, then renames it, so that it is there whole or not at all.
///
/// # Errors
/// When the disk is full or the folder cannot be written.
pub fn write_aside(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let aside = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// A row of `runs.csv`.
#[derive(Debug, Serialize)]
pub struct RunRow<'a> {
    /// The run's folder.
    pub run: &'a str,
    /// The objective.
    pub objective: &'a str,
    /// Seed of the run.
    pub seed: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Floating-point operations of training.
    pub flops: f64,
    /// Seconds of training.
    pub seconds: f64,
    /// Parameters of the model.
    pub parameters: usize,
    /// Last validation loss, nats per target.
    pub valid_loss: Option<f64>,
    /// Best validation loss, nats per target.
    pub best_loss: Option<f64>,
    /// Version of this program.
    pub version: &'a str,
    /// The whole configuration as JSON.
    pub config: String,
}

/// Appends a row to `runs.csv`, with a header when the file is new.
///
/// # Errors
/// When the file cannot be written.
pub fn append_row(path: &Path, row: &RunRow<'_>) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    let new = fs::metadata(path).map_or(true, |file| file.len() == 0);
    let mut writer = csv::WriterBuilder::new().has_headers(new).from_writer(Vec::new());
    writer.serialize(row).with_context(context)?;
    let bytes = writer.into_inner().map_err(|error| error.into_error()).with_context(context)?;
    // One write, so that runs that end at the same moment do not mix their rows.
    let mut file = OpenOptions::new().create(true).append(true).open(path).with_context(context)?;
    file.write_all(&bytes).with_context(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_after_the_step_resumed_from_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("metrics.jsonl");
        let mut log = JsonLines::open(&path, 0).expect("new");
        for step in 1..=4 {
            log.write(&json!({"step": step})).expect("written");
        }
        fs::write(&path, fs::read_to_string(&path).expect("read") + "{\"step\": 5, \"cut")
            .expect("written");
        let mut log = JsonLines::open(&path, 2).expect("resumed");
        assert_eq!(log.last, Some(2));
        log.write(&json!({"step": 3})).expect("written");
        assert_eq!(
            fs::read_to_string(&path).expect("read"),
            "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n"
        );
    }
}
