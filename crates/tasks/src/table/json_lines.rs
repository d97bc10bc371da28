//! Tables of JSON objects, each a row.

use std::path::Path;

use serde_json::{Map, Value};

use super::columns::{Columns, MissingLabel, Ragged, Role, missing};
use super::example::{Collector, IDS, RawRow, Table};
use crate::error::Error;
use crate::json_objects::objects;
use crate::text::read_text;

/// Reads a table. See [`Table::open`].
pub fn read(path: &Path, columns: &Columns) -> crate::Result<Table> {
    let mut rows = Collector::new(columns);
    for (line, fields) in objects(path, &read_text(path)?)? {
        if columns.ragged == Ragged::Skip && !is_complete(&fields, columns) {
            rows.skip(line);
            continue;
        }

        let row = row(line, &fields, columns).and_then(|row| rows.add(row));
        row.map_err(|message| Error::line(path, line, message))?;
    }
    Ok(rows.finish())
}

/// Whether a line has all columns.
fn is_complete(fields: &Map<String, Value>, columns: &Columns) -> bool {
    let label = columns.label.as_ref().filter(|_| columns.missing_label == MissingLabel::Refuse);
    let names = [Some(&columns.text), columns.pair.as_ref(), label];
    names.into_iter().flatten().all(|name| fields.contains_key(name))
}

fn row(line: usize, fields: &Map<String, Value>, columns: &Columns) -> Result<RawRow, String> {
    let text = |role, name: &str| match field(role, name, fields)? {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("`{name}` is {other}, not a text in quotes")),
    };

    let label = |name: &String| match (fields.get(name), columns.missing_label) {
        (None, MissingLabel::Allow) => Ok(None),
        _ => match field(Role::Label, name, fields)? {
            Value::Null => Ok(Some(String::new())),
            value => {
                plain(value).map(Some).ok_or_else(|| format!("`{name}` is no name and no number"))
            }
        },
    };

    Ok(RawRow {
        line,
        id: IDS.iter().find_map(|name| plain(fields.get(*name)?)),
        first: text(Role::Text, &columns.text)?,
        second: columns.pair.as_ref().map(|name| text(Role::Pair, name)).transpose()?,
        label: columns.label.as_ref().map(label).transpose()?.flatten(),
    })
}

/// A name, a number or a truth as text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(written) => Some(written.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        plain => Some(plain.to_string()),
    }
}

fn field<'a>(role: Role, name: &str, fields: &'a Map<String, Value>) -> Result<&'a Value, String> {
    fields
        .get(name)
        .ok_or_else(|| missing(role, name, &fields.keys().map(String::as_str).collect::<Vec<_>>()))
}
