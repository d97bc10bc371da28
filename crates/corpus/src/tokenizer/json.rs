//! A tokenizer from the parts of a `tokenizer.json`.

use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::error::{Error, Result};

/// The tokenizer that `parts` describe.
///
/// # Errors
/// Says that the file in `path`, from which the parts were made, is no tokenizer.
pub fn from_json(parts: &Value, path: &Path) -> Result<Tokenizer> {
    parts
        .to_string()
        .parse()
        .map_err(|error| Error::data(format!("{} is no tokenizer: {error}", path.display())))
}
