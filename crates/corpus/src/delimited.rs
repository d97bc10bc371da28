//! Documents from the rows of a table of text, CSV or TSV.

use std::io::{BufRead, ErrorKind};
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};

use crate::error::{Error, Result};
use crate::format::FileFormat;
use crate::lines::broken;

/// The separators of CSV; the first one with which the text's column is found is taken.
const SEPARATORS: &[u8] = b",;\t";

/// Reads the text column of a table row by row.
pub struct DelimitedRows {
    reader: Reader<Box<dyn BufRead + Send>>,
    record: ByteRecord,
    /// Index of the text column.
    column: usize,
    is_tsv: bool,
}

impl DelimitedRows {
    /// The rows below the header, whose column `name` holds the text.
    ///
    /// # Errors
    /// When the table cannot be read, or does not have the column once.
    pub fn open(
        mut bytes: Box<dyn BufRead + Send>,
        path: &Path,
        name: &str,
        format: FileFormat,
    ) -> Result<Self> {
        let is_tsv = format == FileFormat::Tsv;
        let head = bytes.fill_buf().map_err(|error| broken(&error, path))?;
        let separator = if is_tsv { b'\t' } else { separator(head, name) };

        let mut reader = builder(separator, is_tsv).from_reader(bytes);
        let mut record = ByteRecord::new();
        reader.read_byte_record(&mut record).map_err(|error| damaged(error, path))?;
        let names = names(&record);
        let column = column(&names, name)
            .map_err(|message| Error::data(format!("{} {message}", path.display())))?;
        Ok(Self { reader, record, column, is_tsv })
    }

    /// The next document; none at the end.
    ///
    /// # Errors
    /// When a row has another number of fields than the header, or is not UTF-8.
    pub fn next(&mut self, path: &Path) -> Result<Option<String>> {
        let read = self.reader.read_byte_record(&mut self.record);
        if !read.map_err(|error| damaged(error, path))? {
            return Ok(None);
        }

        let line = self.record.position().map_or(0, csv::Position::line);
        let field = self.record.get(self.column).unwrap_or_default();
        let text = std::str::from_utf8(field).map_err(|_| {
            Error::data(format!(
                "{}, line {line}: not UTF-8; convert the file to UTF-8",
                path.display()
            ))
        })?;
        // The reader ends lines of TSV at `\n`.
        let text = if self.is_tsv { text.strip_suffix('\r').unwrap_or(text) } else { text };
        Ok(Some(text.to_owned()))
    }
}

fn builder(separator: u8, is_tsv: bool) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).delimiter(separator);
    if is_tsv {
        builder.quoting(false).terminator(Terminator::Any(b'\n'));
    }
    builder
}

/// The separator of a table of CSV that begins with `head`: the comma if the column is not found.
fn separator(head: &[u8], name: &str) -> u8 {
    let has_column = |separator: &u8| {
        let mut record = ByteRecord::new();
        let mut reader = builder(*separator, false).from_reader(head);
        let is_read = reader.read_byte_record(&mut record).unwrap_or(false);
        is_read && column(&names(&record), name).is_ok()
    };
    SEPARATORS.iter().copied().find(has_column).unwrap_or(SEPARATORS[0])
}

/// The names in a header, without white space at their edges.
fn names(header: &ByteRecord) -> Vec<String> {
    header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect()
}

/// The index of a column.
fn column(names: &[String], name: &str) -> std::result::Result<usize, String> {
    let mut found = (0..names.len()).filter(|index| names[*index] == name);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column),
        (Some(_), Some(_)) => {
            Err(format!("has two columns `{name}`; rename the one that is not meant"))
        }
        (None, _) => Err(format!(
            "has no column `{name}`; it has: {}. Name the right one with --text-field",
            names.join(", ")
        )),
    }
}

/// The error for a table that cannot be read on.
fn damaged(error: csv::Error, path: &Path) -> Error {
    let line = error.position().map(csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() != ErrorKind::Interrupted => broken(&error, path),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => Error::data(format!(
            "{}, line {}: {len} fields where the header has {expected_len}; mend the row or take it \
             out",
            path.display(),
            line.unwrap_or_default()
        )),
        other => Error::data(format!("{} cannot be read: {other:?}", path.display())),
    }
}
