//! The file `runs.csv` beside a run's folder: one row for each finished run.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::error::Result;

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
    let is_new = fs::metadata(path).map_or(true, |file| file.len() == 0);
    let mut writer = csv::WriterBuilder::new().has_headers(is_new).from_writer(Vec::new());
    writer.serialize(row).expect("a row has text and numbers only");
    let bytes = writer.into_inner().expect("memory takes it");

    // One write, so that runs that end at the same moment do not mix their rows.
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(&bytes));
    let failed = checkpoint::Error::io(format!("cannot write {}", path.display()));
    Ok(written.map_err(failed)?)
}
