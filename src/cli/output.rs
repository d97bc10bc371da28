//! Results on stdout, for people and for programs.

use std::io::{ErrorKind, Write};

use anyhow::Result;
use comfy_table::{Table, presets};
use serde_json::Value;

/// Prints a result on stdout. A reader that has gone away (`| head`) is no error.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub fn print(text: &str) -> Result<()> {
    match writeln!(anstream::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a JSON document.
///
/// # Errors
/// As [`print`].
pub fn print_json(document: &Value) -> Result<()> {
    print(&serde_json::to_string_pretty(document)?)
}

/// An empty table for people.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header.to_vec());
    table
}

/// A number for people: four decimals, or in powers of ten where that would be long or nothing.
pub fn decimal(number: f64) -> String {
    match number.abs() {
        size if size >= 1e7 || (size > 0.0 && size < 1e-3) => format!("{number:.4e}"),
        _ => format!("{number:.4}"),
    }
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// A table for people.
    Table,
    /// One JSON document.
    Json,
}

impl OutputFormat {
    /// The format that the flag `--json` asks for.
    pub fn of_flag(json: bool) -> Self {
        if json { Self::Json } else { Self::Table }
    }
}

/// Prints a flat JSON object.
///
/// # Errors
/// As [`print`].
pub fn report(format: OutputFormat, document: &Value) -> Result<()> {
    if format == OutputFormat::Json {
        return print_json(document);
    }

    let mut table = table(&["quantity", "value"]);
    for (name, value) in document.as_object().into_iter().flatten() {
        let value = match value {
            Value::Number(number) if number.is_f64() => {
                decimal(number.as_f64().unwrap_or(f64::NAN))
            }
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        table.add_row([name.clone(), value]);
    }
    print(&table.to_string())
}
