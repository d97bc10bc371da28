//! Logs of JSON lines: `metrics.jsonl` and `evals.jsonl`.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::Result;

/// A file of JSON lines that each carry a `step`.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: File,
    /// The step of the last record that the file had.
    pub last: Option<u64>,
}

impl JsonLines {
    /// Opens `path` for appending. Records of steps after `step` are removed: they come from work
    /// that an interruption undid, and will be written again.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let failed = || checkpoint::Error::io(format!("cannot write {}", path.display()));
        let (kept, last) = match File::open(path) {
            Ok(file) => kept_lines(file, step).map_err(failed())?,
            Err(_) => (String::new(), None),
        };

        let aside = path.with_extension("jsonl.tmp");
        fs::write(&aside, kept).and_then(|()| fs::rename(&aside, path)).map_err(failed())?;
        let file = OpenOptions::new().append(true).open(path).map_err(failed())?;
        Ok(Self { path: path.to_owned(), file, last })
    }

    /// Appends one record.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn write(&mut self, record: Map<String, Value>) -> Result<()> {
        let line = format!("{}\n", Value::Object(record));
        let written = self.file.write_all(line.as_bytes());
        let failed = checkpoint::Error::io(format!("cannot write {}", self.path.display()));
        Ok(written.map_err(failed)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(step: u64) -> Map<String, Value> {
        Map::from_iter([("step".to_owned(), step.into())])
    }

    #[test]
    fn records_after_the_step_resumed_from_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("metrics.jsonl");

        let mut log = JsonLines::open(&path, 0).expect("new");
        for step in 1..=4 {
            log.write(record(step)).expect("written");
        }
        fs::write(&path, fs::read_to_string(&path).expect("read") + "{\"step\": 5, \"cut")
            .expect("written");

        let mut log = JsonLines::open(&path, 2).expect("resumed");
        assert_eq!(log.last, Some(2));
        log.write(record(3)).expect("written");
        assert_eq!(
            fs::read_to_string(&path).expect("read"),
            "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n"
        );
    }
}
