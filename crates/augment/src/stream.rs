//! Rows in, variants out, in order and without duplicates; can be interrupted and continued.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::row::TextRow;

/// Bytes of a hash.
const HASH: usize = size_of::<u64>();

/// A file that is being written.
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    /// The finished file. Until then the text is in `OUTPUT.partial`, the progress in
    /// `OUTPUT.state`, and a hash of every variant in `OUTPUT.seen`.
    pub output: &'a Path,
    /// Input and settings, which determine the file.
    pub identity: String,
    /// The first line, with its line break.
    pub header: String,
    /// Rows between two writes of the state.
    pub chunk: usize,
}

/// How far a file is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamProgress {
    /// Hash of input and settings.
    pub identity: String,
    /// Rows of the input that are done.
    pub rows: u64,
    /// Rows of the output.
    pub written: u64,
    /// Bytes of the output.
    pub bytes: u64,
}

impl StreamProgress {
    /// Bytes of the hashes: every row of the output has one, except the originals.
    fn hashes(&self) -> u64 {
        (self.written - self.rows) * HASH as u64
    }
}

impl Stream<'_> {
    /// Checks that the file can be begun or continued.
    ///
    /// # Errors
    /// When the file exists already, or belongs to other input or settings.
    pub fn check(&self) -> Result<()> {
        self.begin().map(|_| ())
    }

    /// Writes each of `rows`, followed by those of its variants that are none of `rows` and were
    /// not written before. `vary` gives the variants of some rows, of which the first has the given
    /// number; a row itself is its first variant. `line` turns a variant of the row with the given
    /// number into a line with its line break. `interrupted` is asked between chunks. An
    /// interrupted stream is continued, and the file is the same.
    ///
    /// # Errors
    /// Those of [`Stream::check`] and of `vary`; when the output cannot be written, or the caller
    /// asks to stop.
    pub fn write(
        &self,
        rows: &[TextRow],
        vary: impl Fn(u64, &[TextRow]) -> Result<Vec<Vec<TextRow>>>,
        line: impl Fn(usize, &TextRow) -> String,
        mut tell: impl FnMut(&StreamProgress),
        interrupted: impl Fn() -> bool,
    ) -> Result<StreamProgress> {
        let mut progress = self.begin()?;
        let mut files = Files::reopen(self, &progress)?;
        let mut seen: HashSet<u64> = rows.iter().map(hash).chain(files.hashes()?).collect();
        if progress.bytes == 0 {
            files.write_header(&self.header)?;
            progress.bytes = self.header.len() as u64;
        }

        while (progress.rows as usize) < rows.len() {
            if interrupted() {
                return Err(Error::Interrupted);
            }

            let first = progress.rows as usize;
            let some = &rows[first..rows.len().min(first + self.chunk)];
            let mut chunk = Chunk::default();
            for (variants, number) in vary(progress.rows, some)?.iter().zip(first..) {
                chunk.push(variants, &mut seen, |row| line(number, row));
            }

            files.append(&chunk)?;
            progress.rows += some.len() as u64;
            progress.written += (some.len() + chunk.hashes.len() / HASH) as u64;
            progress.bytes += chunk.text.len() as u64;
            self.remember(&progress)?;
            tell(&progress);
        }

        files.finish(self)?;
        Ok(progress)
    }

    /// `OUTPUT.ending`.
    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.output.as_os_str().to_owned();
        name.push(format!(".{ending}"));
        name.into()
    }

    /// The progress of an interrupted stream, or that of a new one.
    fn begin(&self) -> Result<StreamProgress> {
        if self.output.exists() {
            return Err(Error::Data(format!(
                "{} is there already; give another --output, or remove it",
                self.output.display()
            )));
        }

        let (partial, state) = (&self.beside("partial"), &self.beside("state"));
        let new = StreamProgress {
            identity: blake3::hash(self.identity.as_bytes()).to_hex().to_string(),
            ..StreamProgress::default()
        };
        if !state.exists() {
            return Ok(new);
        }

        let text = fs::read_to_string(state).map_err(Error::io("read", state))?;
        let there: StreamProgress = serde_json::from_str(&text).map_err(|error| {
            Error::Data(format!(
                "{} is damaged ({error}); remove it to begin anew",
                state.display()
            ))
        })?;
        if there.identity != new.identity {
            return Err(Error::Data(format!(
                "{} belongs to another input or other settings; remove it and {}, or give another \
                 --output",
                state.display(),
                partial.display()
            )));
        }

        for (path, bytes) in [(partial, there.bytes), (&self.beside("seen"), there.hashes())] {
            if fs::metadata(path).map_or(0, |metadata| metadata.len()) < bytes {
                let (path, state) = (path.display(), state.display());
                return Err(Error::Data(format!(
                    "{path} is shorter than {state} says; remove both to begin anew"
                )));
            }
        }
        Ok(there)
    }

    /// Writes how far the file is. The text is written aside and renamed, so that the state is
    /// always whole.
    fn remember(&self, progress: &StreamProgress) -> Result<()> {
        let (state, aside) = (self.beside("state"), self.beside("state.tmp"));
        let text =
            serde_json::to_string(progress).map_err(|error| Error::Data(error.to_string()))?;
        let mut file = File::create(&aside).map_err(Error::io("write", &aside))?;
        append(&mut file, text.as_bytes()).map_err(Error::io("write", &aside))?;
        fs::rename(&aside, &state).map_err(Error::io("rename", &aside))
    }
}

/// The lines of some rows, and the hashes of the new variants among them.
#[derive(Default)]
struct Chunk {
    text: String,
    hashes: Vec<u8>,
}

impl Chunk {
    /// Adds a row, the first of `variants`, and those of its variants whose hashes are not `seen`.
    fn push(
        &mut self,
        variants: &[TextRow],
        seen: &mut HashSet<u64>,
        line: impl Fn(&TextRow) -> String,
    ) {
        let (original, variants) = variants.split_first().expect("each row itself comes first");
        self.text.push_str(&line(original));

        for variant in variants {
            let hash = hash(variant);
            if seen.insert(hash) {
                self.hashes.extend(hash.to_le_bytes());
                self.text.push_str(&line(variant));
            }
        }
    }
}

/// The open files of a stream: `OUTPUT.partial` with the text and `OUTPUT.seen` with the hashes.
struct Files {
    partial: PathBuf,
    seen: PathBuf,
    output: File,
    hashes: File,
}

impl Files {
    /// Opens the files, cut to their lengths in `progress`.
    fn reopen(stream: &Stream<'_>, progress: &StreamProgress) -> Result<Self> {
        let (partial, seen) = (stream.beside("partial"), stream.beside("seen"));
        let output = reopen(&partial, progress.bytes)?;
        let hashes = reopen(&seen, progress.hashes())?;
        Ok(Self { partial, seen, output, hashes })
    }

    /// The hashes of the variants written before.
    fn hashes(&self) -> Result<Vec<u64>> {
        let bytes = fs::read(&self.seen).map_err(Error::io("read", &self.seen))?;
        let (hashes, _) = bytes.as_chunks();
        Ok(hashes.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
    }

    fn write_header(&mut self, header: &str) -> Result<()> {
        self.output.write_all(header.as_bytes()).map_err(Error::io("write", &self.partial))
    }

    fn append(&mut self, chunk: &Chunk) -> Result<()> {
        append(&mut self.output, chunk.text.as_bytes())
            .map_err(Error::io("write", &self.partial))?;
        append(&mut self.hashes, &chunk.hashes).map_err(Error::io("write", &self.seen))
    }

    /// Gives the output its name, and removes the other files.
    fn finish(self, stream: &Stream<'_>) -> Result<()> {
        let Self { partial, seen, output, hashes } = self;
        drop((output, hashes));

        fs::rename(&partial, stream.output).map_err(Error::io("rename", &partial))?;
        for path in [&stream.beside("state"), &seen].into_iter().filter(|path| path.exists()) {
            fs::remove_file(path).map_err(Error::io("remove", path))?;
        }
        Ok(())
    }
}

/// A hash of a row's sentences. Among a billion rows a collision has a probability of 0.03.
fn hash(row: &TextRow) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(row.first.as_bytes());
    row.second.iter().for_each(|second| {
        // This byte does not occur in UTF-8.
        hasher.update(&[0xff]);
        hasher.update(second.as_bytes());
    });
    let digest = hasher.finalize();
    u64::from_le_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes"))
}

/// Opens the file at `path`, cut to its first `bytes`, to append to it.
fn reopen(path: &Path, bytes: u64) -> Result<File> {
    let options = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let mut file = options.map_err(Error::io("write", path))?;
    file.set_len(bytes).map_err(Error::io("cut", path))?;
    file.seek(SeekFrom::End(0)).map_err(Error::io("write", path))?;
    Ok(file)
}

/// Writes `bytes` and waits until they are on the disk.
fn append(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    file.write_all(bytes)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn rows(n: usize) -> Vec<TextRow> {
        (0..n).map(|i| TextRow { first: format!("row {i}"), second: None }).collect()
    }

    /// Each row itself, then three variants: one equal to row 12, one that every fourth row has,
    /// and one that no other row has.
    fn vary(first: u64, rows: &[TextRow]) -> Result<Vec<Vec<TextRow>>> {
        let variants = |(row, number): (&TextRow, u64)| {
            let texts = [
                "row 12".to_owned(),
                format!("remainder {}", number % 4),
                format!("variant {number}"),
            ];
            let others = texts.into_iter().map(|first| TextRow { first, second: None });
            std::iter::once(row.clone()).chain(others).collect()
        };
        Ok(rows.iter().zip(first..).map(variants).collect())
    }

    fn write(output: &Path, chunk: usize, stop_after: usize) -> Result<StreamProgress> {
        let stream =
            Stream { output, identity: "settings".to_owned(), header: "text\n".to_owned(), chunk };
        let asked = Cell::new(0);
        let interrupted = || asked.replace(asked.get() + 1) >= stop_after;
        stream.write(&rows(20), vary, |_, row| format!("{}\n", row.first), |_| {}, interrupted)
    }

    fn append_to(path: &Path) {
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"half a li").unwrap();
    }

    #[test]
    fn chunks_and_interruptions_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole.tsv");
        let progress = write(&whole, 256, usize::MAX).unwrap();
        assert_eq!((progress.rows, progress.written), (20, 20 + 4 + 20));

        let want = fs::read_to_string(&whole).unwrap();
        let of_row = |i: usize| match i {
            0..4 => format!("row {i}\nremainder {i}\nvariant {i}\n"),
            _ => format!("row {i}\nvariant {i}\n"),
        };
        assert_eq!(want, "text\n".to_owned() + &(0..20).map(of_row).collect::<String>());

        for chunk in [1, 7] {
            for stop_after in 0..8 {
                let path = folder.path().join(format!("{chunk}-{stop_after}.tsv"));
                if let Err(error) = write(&path, chunk, stop_after) {
                    assert!(matches!(error, Error::Interrupted), "{error}");
                    assert!(!path.exists());
                    // Text behind the last state is ignored.
                    append_to(&folder.path().join(format!("{chunk}-{stop_after}.tsv.partial")));
                    append_to(&folder.path().join(format!("{chunk}-{stop_after}.tsv.seen")));
                    write(&path, 5, usize::MAX).unwrap();
                }
                assert_eq!(
                    fs::read_to_string(&path).unwrap(),
                    want,
                    "chunks of {chunk}, stopped after {stop_after}"
                );
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 17, "nothing else is left");
    }

    #[test]
    fn rows_that_are_there_twice_stay_and_sentences_of_pairs_are_not_run_together() {
        let row = |first: &str, second: &str| TextRow {
            first: first.to_owned(),
            second: Some(second.to_owned()),
        };
        let (one, other) = (row("ab", "c"), row("a", "bc"));
        assert_ne!(hash(&one), hash(&other));
        assert_ne!(hash(&one), hash(&TextRow { first: "abc".to_owned(), second: None }));

        let folder = tempfile::tempdir().unwrap();
        let output = &folder.path().join("pairs");
        let stream = Stream { output, identity: String::new(), header: String::new(), chunk: 2 };
        let vary = |_, rows: &[TextRow]| {
            Ok(rows.iter().map(|row| vec![row.clone(), other.clone()]).collect())
        };
        let line = |number: usize, row: &TextRow| format!("{number} {}\n", row.first);
        stream
            .write(&[one.clone(), one.clone(), one.clone()], vary, line, |_| {}, || false)
            .unwrap();
        assert_eq!(fs::read_to_string(output).unwrap(), "0 ab\n0 a\n1 ab\n2 ab\n");
    }

    #[test]
    fn another_run_s_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.tsv");
        assert!(write(&path, 5, 2).is_err());

        let other =
            Stream { output: &path, identity: "other".to_owned(), header: String::new(), chunk: 5 };
        let error = other
            .write(&rows(3), vary, |_, _| String::new(), |_| {}, || false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("other settings"), "{error}");

        let seen = folder.path().join("out.tsv.seen");
        let hashes = fs::read(&seen).unwrap();
        fs::write(&seen, &hashes[1..]).unwrap();
        let error = write(&path, 5, usize::MAX).unwrap_err().to_string();
        assert!(error.contains("out.tsv.seen is shorter than"), "{error}");

        fs::write(&seen, hashes).unwrap();
        write(&path, 5, usize::MAX).unwrap();
        assert!(write(&path, 5, usize::MAX).unwrap_err().to_string().contains("there already"));
    }
}
