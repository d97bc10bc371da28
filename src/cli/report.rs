//! Results for people and for programs.

use anyhow::Result;
use comfy_table::{Table, presets};
use serde_json::Value;

use super::print;

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

/// Prints a flat JSON object as one document or as lines for people.
pub fn report(as_json: bool, document: &Value) -> Result<()> {
    if as_json {
        return print(&serde_json::to_string_pretty(document)?);
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
