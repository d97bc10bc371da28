//! Tables with one JSON object on each line.

use std::path::Path;

use serde_json::{Map, Value};

use super::columns::{Columns, Ragged, Role, missing};
use super::example::{Table, TableRow, label, text};
use crate::error::{self, Error, Result};

/// Reads a table. See [`Table::open`].
pub fn read(path: &Path, columns: &Columns) -> Result<Table> {
    let bytes = error::read(path)?;
    let mut table = Table::default();
    for (number, written) in text(path, &bytes)?.lines().enumerate() {
        let line = number + 1;
        if written.trim().is_empty() {
            continue;
        }

        let fields: Map<String, Value> = serde_json::from_str(written).map_err(|error| {
            Error::line(path, line, format!("no JSON object on one line: {error}"))
        })?;
        if columns.ragged == Ragged::Skip && !is_complete(&fields, columns) {
            table.skipped.push(line);
            continue;
        }

        let example =
            example(line, &fields, columns).map_err(|message| Error::line(path, line, message))?;
        table.examples.push(example);
    }
    Ok(table)
}

/// Whether a line has all columns.
fn is_complete(fields: &Map<String, Value>, columns: &Columns) -> bool {
    let names = [Some(&columns.text), columns.pair.as_ref(), columns.label.as_ref()];
    names.into_iter().flatten().all(|name| fields.contains_key(name))
}

fn example(
    line: usize,
    fields: &Map<String, Value>,
    columns: &Columns,
) -> std::result::Result<TableRow, String> {
    let text = |role, name: &str| match field(role, name, fields)? {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("`{name}` is {other}, not a text in quotes")),
    };

    let written = |name: &String| {
        let written = match field(Role::Label, name, fields)? {
            Value::String(written) => written.clone(),
            Value::Null => String::new(),
            Value::Array(_) | Value::Object(_) => {
                return Err(format!("`{name}` is no name and no number"));
            }
            plain => plain.to_string(),
        };
        label(&written, columns.kind)
    };

    Ok(TableRow {
        line,
        first: text(Role::Text, &columns.text)?,
        second: columns.pair.as_ref().map(|name| text(Role::Pair, name)).transpose()?,
        label: columns.label.as_ref().map(written).transpose()?,
    })
}

fn field<'a>(
    role: Role,
    name: &str,
    fields: &'a Map<String, Value>,
) -> std::result::Result<&'a Value, String> {
    fields
        .get(name)
        .ok_or_else(|| missing(role, name, &fields.keys().map(String::as_str).collect::<Vec<_>>()))
}
