//! Tables whose fields are separated by a character.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Terminator};

use super::columns::{Columns, Header, Ragged, Role, missing};
use super::example::{Table, TableRow, label, text};
use crate::error::{self, Error, Result};

/// How fields are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// By tabs; a quote is a character and a field ends at the line's end, as in GLUE.
    Tsv,
    /// By commas; a field in double quotes may hold commas, line breaks and doubled quotes.
    Csv,
}

/// Reads a table. See [`Table::open`].
pub fn read(path: &Path, dialect: Dialect, columns: &Columns) -> Result<Table> {
    let bytes = error::read(path)?;
    let text = text(path, &bytes)?;
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true);
    if dialect == Dialect::Tsv {
        builder.delimiter(b'\t').quoting(false).terminator(Terminator::Any(b'\n'));
    }
    let mut reader = builder.from_reader(text.as_bytes());
    let (mut table, mut indices, mut fields) = (Table::default(), None, 0);
    let mut record = StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| Error::data(format!("{}: {error}", path.display())))?
    {
        let row = row(&record, dialect);
        if row.len() == 1 && row[0].is_empty() {
            continue;
        }
        let line = line(&record, text);
        let indices = match &indices {
            Some(indices) => indices,
            None => {
                fields = row.len();
                let found =
                    find(&row, columns).map_err(|message| Error::line(path, line, message))?;
                let found = indices.insert(found);
                if columns.header == Header::Present {
                    continue;
                }
                found
            }
        };
        if row.len() != fields {
            if columns.ragged == Ragged::Skip {
                table.skipped.push(line);
                continue;
            }
            let other = format!(
                "{} fields where the first line has {fields}; mend the row or take it out",
                row.len()
            );
            return Err(Error::line(path, line, other));
        }
        let written = indices.label.map(|index| label(row[index], columns.kind)).transpose();
        table.examples.push(TableRow {
            line,
            first: row[indices.text].to_owned(),
            second: indices.pair.map(|index| row[index].to_owned()),
            label: written.map_err(|message| Error::line(path, line, message))?,
        });
    }
    Ok(table)
}

/// The indices of the columns in a row.
struct ColumnIndices {
    text: usize,
    pair: Option<usize>,
    label: Option<usize>,
}

/// Finds the columns under the header, or by their numbers in a first row.
fn find(row: &[&str], columns: &Columns) -> std::result::Result<ColumnIndices, String> {
    let numbers: Vec<String> = (0..row.len()).map(|number| number.to_string()).collect();
    let names: Vec<&str> = match columns.header {
        Header::Present => row.to_vec(),
        Header::Absent => numbers.iter().map(String::as_str).collect(),
    };
    let index = |role, name: &str| {
        names.iter().position(|there| *there == name).ok_or_else(|| missing(role, name, &names))
    };
    Ok(ColumnIndices {
        text: index(Role::Text, &columns.text)?,
        pair: columns.pair.as_deref().map(|name| index(Role::Pair, name)).transpose()?,
        label: columns.label.as_deref().map(|name| index(Role::Label, name)).transpose()?,
    })
}

/// The fields of a record. Lines of TSV end at `\n`, whatever stands before it.
fn row(record: &StringRecord, dialect: Dialect) -> Vec<&str> {
    let mut row: Vec<&str> = record.iter().collect();
    if let (Dialect::Tsv, Some(last)) = (dialect, row.last_mut()) {
        *last = last.strip_suffix('\r').unwrap_or(last);
    }
    row
}

/// The line a record begins on; the position that the reader tells is before any blank lines.
fn line(record: &StringRecord, text: &str) -> usize {
    let position = record.position().expect("a record that was read has a position");
    let blank = text.as_bytes()[position.byte() as usize..]
        .iter()
        .take_while(|byte| matches!(byte, b'\n' | b'\r'));
    position.line() as usize + blank.filter(|byte| **byte == b'\n').count()
}
