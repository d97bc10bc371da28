//! From a TOML table to a struct, with errors that name the key.

use serde::de::DeserializeOwned;
use toml::Table;

use crate::Error;

/// Reads a struct from a table whose keys have the prefix `prefix` (such as `objective.`) in the
/// whole.
///
/// # Errors
/// Names the key that is unknown (with the nearest known one) or has an invalid value.
pub fn parse<T: DeserializeOwned>(table: Table, prefix: &str) -> Result<T, Error> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let message = error.inner().to_string();
        explain(prefix, &error.path().to_string(), message.trim())
    })
}

/// The error for serde's `message` about the key at `path`, which is `.` for the whole table.
fn explain(prefix: &str, path: &str, message: &str) -> Error {
    let Some((key, known)) = unknown_key(message) else {
        let at = if path == "." { String::new() } else { format!("{path}: ") };
        return Error(format!("{prefix}{at}{message}"));
    };

    let path = if path == "." { key } else { path };
    let similarity = |name: &str| strsim::jaro_winkler(name, key);
    let nearest = known.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    let hint = nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Error(format!("unknown key `{prefix}{path}`{hint} Known here: {}", known.join(", ")))
}

/// The key and the known keys in serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    Some((key, rest.lines().next().unwrap_or("").split('`').skip(1).step_by(2).collect()))
}
