//! From a TOML table to a struct, with errors that name the key.

use serde::de::DeserializeOwned;
use toml::Table;

use crate::Error;

/// Reads a struct from a table that stands at `prefix` (such as `objective.`) of the whole.
///
/// # Errors
/// Names the key that is unknown (with the nearest known one) or has a wrong value.
pub fn parse<T: DeserializeOwned>(table: Table, prefix: &str) -> Result<T, Error> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        let message = message.trim();
        match unknown_key(message) {
            Some((key, known)) => {
                let path = if path == "." { key.to_owned() } else { path };
                let nearest = known.iter().max_by(|a, b| {
                    strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key))
                });
                let hint =
                    nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                Error(format!(
                    "unknown key `{prefix}{path}`{hint} Known here: {}",
                    known.join(", ")
                ))
            }
            None if path == "." => Error(format!("{}{message}", prefix)),
            None => Error(format!("{prefix}{path}: {message}")),
        }
    })
}

/// The key and the known ones of serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    Some((key, rest.lines().next().unwrap_or("").split('`').skip(1).step_by(2).collect()))
}
