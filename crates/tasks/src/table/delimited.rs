//! Tables whose fields are separated by a character.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Terminator};

use super::columns::{Columns, Header, LabelKind, Ragged, Role, missing};
use super::example::{Table, TableRow, label, text};
use crate::error::{self, Error, Result};

/// How the fields of a table are separated.
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
    let mut record = StringRecord::new();

    let (mut table, mut first) = (Table::default(), None);
    while reader
        .read_record(&mut record)
        .map_err(|error| Error::data(format!("{}: {error}", path.display())))?
    {
        let row = row(&record, dialect);
        if row.len() == 1 && row[0].is_empty() {
            continue;
        }

        let line = line(&record, text);
        let at_fault = |message: String| Error::line(path, line, message);
        let first = match &first {
            Some(first) => first,
            None => {
                let found = first.insert(FirstRow::read(&row, columns).map_err(at_fault)?);
                if columns.header == Header::Present {
                    continue;
                }
                found
            }
        };

        if row.len() == first.fields {
            table.examples.push(first.example(line, &row, columns.kind).map_err(at_fault)?);
        } else if columns.ragged == Ragged::Skip {
            table.skipped.push(line);
        } else {
            return Err(at_fault(format!(
                "{} fields where the first line has {}; mend the row or take it out",
                row.len(),
                first.fields
            )));
        }
    }
    Ok(table)
}

/// The shape of a table, read from its first row: the number of fields and the indices of the
/// columns.
struct FirstRow {
    fields: usize,
    text: usize,
    pair: Option<usize>,
    label: Option<usize>,
}

impl FirstRow {
    /// Finds the columns by their names in the header, or by their numbers if there is none.
    fn read(row: &[&str], columns: &Columns) -> std::result::Result<Self, String> {
        let numbers: Vec<String> = (0..row.len()).map(|number| number.to_string()).collect();
        let names: Vec<&str> = match columns.header {
            Header::Present => row.to_vec(),
            Header::Absent => numbers.iter().map(String::as_str).collect(),
        };
        let index = |role, name: &str| {
            names.iter().position(|there| *there == name).ok_or_else(|| missing(role, name, &names))
        };

        Ok(Self {
            fields: row.len(),
            text: index(Role::Text, &columns.text)?,
            pair: columns.pair.as_deref().map(|name| index(Role::Pair, name)).transpose()?,
            label: columns.label.as_deref().map(|name| index(Role::Label, name)).transpose()?,
        })
    }

    /// The example in a row with as many fields.
    fn example(
        &self,
        line: usize,
        row: &[&str],
        kind: LabelKind,
    ) -> std::result::Result<TableRow, String> {
        Ok(TableRow {
            line,
            first: row[self.text].to_owned(),
            second: self.pair.map(|index| row[index].to_owned()),
            label: self.label.map(|index| label(row[index], kind)).transpose()?,
        })
    }
}

/// The fields of a record. The reader ends lines of TSV at `\n`; a `\r` before it is removed.
fn row(record: &StringRecord, dialect: Dialect) -> Vec<&str> {
    let mut row: Vec<&str> = record.iter().collect();
    if let (Dialect::Tsv, Some(last)) = (dialect, row.last_mut()) {
        *last = last.strip_suffix('\r').unwrap_or(last);
    }
    row
}

/// The line on which a record begins; the reader's position is before any blank lines.
fn line(record: &StringRecord, text: &str) -> usize {
    let position = record.position().expect("a record that was read has a position");
    let blank = text.as_bytes()[position.byte() as usize..]
        .iter()
        .take_while(|byte| matches!(byte, b'\n' | b'\r'));
    position.line() as usize + blank.filter(|byte| **byte == b'\n').count()
}
