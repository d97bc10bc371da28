//! Parts of a `tokenizer.json`, and the tokenizer that they describe.

use std::path::Path;

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::error::{Error, Result};

/// The tokenizer that `parts` describe.
///
/// # Errors
/// When the parts describe no tokenizer; the message names `path`, the file that they are from.
pub fn from_json(parts: &Value, path: &Path) -> Result<Tokenizer> {
    parts
        .to_string()
        .parse()
        .map_err(|error| Error::data(format!("{} is no tokenizer: {error}", path.display())))
}

/// What a special token does with the white space before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceBefore {
    /// The space is a part of the special token, as of RoBERTa's and ALBERT's mask.
    Taken,
    /// The space is left.
    Left,
}

/// An entry of `added_tokens`: the special token `name`.
pub fn special_token(id: &Value, name: &str, space: SpaceBefore) -> Value {
    json!({
        "id": id,
        "content": name,
        "single_word": false,
        "lstrip": space == SpaceBefore::Taken,
        "rstrip": false,
        "normalized": false,
        "special": true,
    })
}

/// SentencePiece's treatment of spaces, as a pre-tokenizer or a decoder.
pub fn metaspace() -> Value {
    json!({
        "type": "Metaspace",
        "replacement": "\u{2581}",
        "prepend_scheme": "always",
        "split": true,
    })
}
