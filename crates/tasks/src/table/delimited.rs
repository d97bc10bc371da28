//! Tables whose fields are separated by a character.

use std::path::Path;

use csv::{Reader, ReaderBuilder, StringRecord, Terminator};

use super::columns::{Columns, Header, MissingLabel, Ragged, Role, index};
use super::example::{Collector, IDS, RawRow, Table};
use crate::error::{Error, Result};
use crate::text::read_text;

/// How the fields of a table are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// By tabs; a quote is a character and a field ends at the line's end, as in GLUE.
    Tsv,
    /// By commas, or where the columns are not found so, by semicolons or tabs; a field in double
    /// quotes may hold these, line breaks and doubled quotes.
    Csv,
}

/// The separators of CSV, and what is told of those that its name does not promise.
const SEPARATORS: [(u8, &str); 3] = [
    (b',', ""),
    (b';', "the fields are separated by semicolons and not by commas"),
    (b'\t', "the fields are separated by tabs and not by commas"),
];

/// Reads a table. See [`Table::open`].
pub fn read(path: &Path, dialect: Dialect, columns: &Columns) -> Result<Table> {
    let text = read_text(path)?;
    let mut rows = Collector::new(columns);
    let mut reader = match dialect {
        Dialect::Tsv => reader(&text, dialect, b'\t'),
        Dialect::Csv => {
            let (separator, remark) = separator(&text, columns);
            if !remark.is_empty() {
                rows.remark(remark);
            }
            reader(&text, dialect, separator)
        }
    };
    let mut record = StringRecord::new();

    let mut first = None;
    while reader
        .read_record(&mut record)
        .map_err(|error| Error::data(format!("{}: {error}", path.display())))?
    {
        let row = row(&record, dialect);
        if row.len() == 1 && row[0].is_empty() {
            continue;
        }

        let line = line(&record, &text);
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
            rows.add(first.raw(line, &row)).map_err(at_fault)?;
        } else if columns.ragged == Ragged::Skip {
            rows.skip(line);
        } else {
            return Err(at_fault(format!(
                "{} fields where the first line has {}; mend the row or take it out",
                row.len(),
                first.fields
            )));
        }
    }
    Ok(rows.finish())
}

fn reader(text: &str, dialect: Dialect, separator: u8) -> Reader<&[u8]> {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(separator);
    if dialect == Dialect::Tsv {
        builder.quoting(false).terminator(Terminator::Any(b'\n'));
    }
    builder.from_reader(text.as_bytes())
}

/// The separator of CSV with which the first record has the columns: the comma if none does.
fn separator(text: &str, columns: &Columns) -> (u8, &'static str) {
    let has_columns = |(separator, _): &(u8, &str)| {
        let mut record = StringRecord::new();
        let mut reader = reader(text, Dialect::Csv, *separator);
        let is_read = reader.read_record(&mut record).unwrap_or(false);
        is_read && FirstRow::read(&row(&record, Dialect::Csv), columns).is_ok()
    };
    SEPARATORS.into_iter().find(has_columns).unwrap_or(SEPARATORS[0])
}

/// The shape of a table, read from its first row: the number of fields and the indices of the
/// columns.
struct FirstRow {
    fields: usize,
    id: Option<usize>,
    text: usize,
    pair: Option<usize>,
    label: Option<usize>,
}

impl FirstRow {
    /// Finds the columns by their names in the header, without white space at their edges, or by
    /// their numbers if there is none.
    fn read(row: &[&str], columns: &Columns) -> std::result::Result<Self, String> {
        let numbers: Vec<String> = (0..row.len()).map(|number| number.to_string()).collect();
        let names: Vec<&str> = match columns.header {
            Header::Present => row.iter().map(|name| name.trim()).collect(),
            Header::Absent => numbers.iter().map(String::as_str).collect(),
        };

        let named = |role, name: &Option<String>| {
            name.as_deref().map(|name| index(role, name, &names)).transpose()
        };
        let label = match columns.missing_label {
            MissingLabel::Allow => {
                columns.label.clone().filter(|name| names.contains(&name.as_str()))
            }
            MissingLabel::Refuse => columns.label.clone(),
        };

        Ok(Self {
            fields: row.len(),
            id: IDS.iter().find_map(|id| names.iter().position(|name| name == id)),
            text: index(Role::Text, &columns.text, &names)?,
            pair: named(Role::Pair, &columns.pair)?,
            label: named(Role::Label, &label)?,
        })
    }

    /// The fields of a row with as many fields.
    fn raw(&self, line: usize, row: &[&str]) -> RawRow {
        let field = |index: usize| row[index].to_owned();
        RawRow {
            line,
            id: self.id.map(field),
            first: field(self.text),
            second: self.pair.map(field),
            label: self.label.map(field),
        }
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
