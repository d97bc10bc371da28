//! Rows in, variants out, in order; interrupted and continued.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::row::Row;

/// A file that is being written.
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    /// The file; until it is whole it is called `OUTPUT.partial`, and `OUTPUT.state` says how far it is.
    pub output: &'a Path,
    /// What determines the file: input and settings.
    pub identity: String,
    /// The line before all others, with its end.
    pub header: String,
    /// Rows between two states.
    pub chunk: usize,
}

/// How far a file is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Hash of input and settings.
    pub identity: String,
    /// Rows of the input that are done.
    pub rows: u64,
    /// Rows of the output.
    pub written: u64,
    /// Bytes of the output.
    pub bytes: u64,
}

impl Stream<'_> {
    /// Checks that the file can be begun or continued.
    ///
    /// # Errors
    /// When it is there already, or belongs to other input or settings.
    pub fn check(&self) -> Result<()> {
        self.begin().map(|_| ())
    }

    /// Writes the variants of `rows`. `vary` gives those of some rows, of which the first has the given number; `line` turns a
    /// variant of row `number` into a line with its end. `interrupted` is asked between chunks. What was done before is not
    /// done again; the file is the same.
    ///
    /// # Errors
    /// Those of [`Stream::check`] and of `vary`; when the output cannot be written, or the caller asks to stop.
    pub fn write(
        &self,
        rows: &[Row],
        vary: impl Fn(u64, &[Row]) -> Result<Vec<Vec<Row>>>,
        line: impl Fn(usize, &Row) -> String,
        mut tell: impl FnMut(&Progress),
        interrupted: impl Fn() -> bool,
    ) -> Result<Progress> {
        let (partial, state) = (self.beside("partial"), self.beside("state"));
        let mut progress = self.begin()?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&partial)
            .map_err(Error::io("write", &partial))?;
        file.set_len(progress.bytes).map_err(Error::io("cut", &partial))?;
        file.seek(SeekFrom::End(0)).map_err(Error::io("write", &partial))?;
        if progress.bytes == 0 {
            file.write_all(self.header.as_bytes()).map_err(Error::io("write", &partial))?;
            progress.bytes = self.header.len() as u64;
        }
        while (progress.rows as usize) < rows.len() {
            if interrupted() {
                return Err(Error::Interrupted);
            }
            let first = progress.rows as usize;
            let some = &rows[first..rows.len().min(first + self.chunk)];
            let mut text = String::new();
            for (i, variants) in vary(progress.rows, some)?.iter().enumerate() {
                variants.iter().for_each(|variant| text.push_str(&line(first + i, variant)));
                progress.written += variants.len() as u64;
            }
            file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(Error::io("write", &partial))?;
            progress.rows += some.len() as u64;
            progress.bytes += text.len() as u64;
            self.remember(&state, &progress)?;
            tell(&progress);
        }
        drop(file);
        fs::rename(&partial, self.output).map_err(Error::io("rename", &partial))?;
        if state.exists() {
            fs::remove_file(&state).map_err(Error::io("remove", &state))?;
        }
        Ok(progress)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.output.as_os_str().to_owned();
        name.push(format!(".{ending}"));
        name.into()
    }

    /// Where an interrupted run got to, or the beginning.
    fn begin(&self) -> Result<Progress> {
        if self.output.exists() {
            return Err(Error::Data(format!(
                "{} is there already; give another --output, or remove it",
                self.output.display()
            )));
        }
        let (partial, state) = (&self.beside("partial"), &self.beside("state"));
        let new =
            Progress { identity: blake3::hash(self.identity.as_bytes()).to_hex().to_string(), ..Progress::default() };
        if !state.exists() {
            return Ok(new);
        }
        let text = fs::read_to_string(state).map_err(Error::io("read", state))?;
        let there: Progress = serde_json::from_str(&text).map_err(|error| {
            Error::Data(format!("{} is damaged ({error}); remove it to begin anew", state.display()))
        })?;
        if there.identity != new.identity {
            return Err(Error::Data(format!(
                "{} belongs to another input or other settings; remove it and {}, or give another --output",
                state.display(),
                partial.display()
            )));
        }
        let bytes = fs::metadata(partial).map_or(0, |metadata| metadata.len());
        if bytes < there.bytes {
            let message = "is shorter than its state says; remove both to begin anew";
            return Err(Error::Data(format!("{} {message}", partial.display())));
        }
        Ok(there)
    }

    /// Written aside and renamed, so that there is always a whole one.
    fn remember(&self, state: &Path, progress: &Progress) -> Result<()> {
        let aside = self.beside("state.tmp");
        let text = serde_json::to_string(progress).map_err(|error| Error::Data(error.to_string()))?;
        let mut file = File::create(&aside).map_err(Error::io("write", &aside))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(Error::io("write", &aside))?;
        fs::rename(&aside, state).map_err(Error::io("rename", &aside))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn rows(n: usize) -> Vec<Row> {
        (0..n).map(|i| Row { first: format!("row {i}"), second: None }).collect()
    }

    fn vary(first: u64, rows: &[Row]) -> Result<Vec<Vec<Row>>> {
        let variants = |(i, row): (usize, &Row)| {
            let copies = (first as usize + i) % 3 + 1;
            (0..copies).map(|copy| Row { first: format!("{} {copy}", row.first), second: None }).collect()
        };
        Ok(rows.iter().enumerate().map(variants).collect())
    }

    fn write(output: &Path, chunk: usize, stop_after: usize) -> Result<Progress> {
        let stream = Stream { output, identity: "settings".to_owned(), header: "text\n".to_owned(), chunk };
        let asked = Cell::new(0);
        let interrupted = || asked.replace(asked.get() + 1) >= stop_after;
        stream.write(&rows(20), vary, |_, row| format!("{}\n", row.first), |_| {}, interrupted)
    }

    #[test]
    fn chunks_and_interruptions_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole.tsv");
        let progress = write(&whole, 256, usize::MAX).unwrap();
        assert_eq!((progress.rows, progress.written), (20, 39));
        let want = fs::read(&whole).unwrap();
        for chunk in [1, 7] {
            for stop_after in 0..8 {
                let path = folder.path().join(format!("{chunk}-{stop_after}.tsv"));
                let first = write(&path, chunk, stop_after);
                if let Err(error) = first {
                    assert!(matches!(error, Error::Interrupted), "{error}");
                    assert!(!path.exists());
                    // What was written after the last state does not count.
                    let partial = folder.path().join(format!("{chunk}-{stop_after}.tsv.partial"));
                    OpenOptions::new().append(true).open(&partial).unwrap().write_all(b"half a li").unwrap();
                    write(&path, 5, usize::MAX).unwrap();
                }
                assert_eq!(fs::read(&path).unwrap(), want, "chunks of {chunk}, stopped after {stop_after}");
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 17, "nothing else is left");
    }

    #[test]
    fn another_run_s_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.tsv");
        assert!(write(&path, 5, 2).is_err());
        let other = Stream { output: &path, identity: "other".to_owned(), header: String::new(), chunk: 5 };
        let error = other.write(&rows(3), vary, |_, _| String::new(), |_| {}, || false).unwrap_err().to_string();
        assert!(error.contains("other settings"), "{error}");
        write(&path, 5, usize::MAX).unwrap();
        assert!(write(&path, 5, usize::MAX).unwrap_err().to_string().contains("there already"));
    }
}
