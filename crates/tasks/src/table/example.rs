//! The examples of a table.

use std::path::Path;

use super::columns::LabelKind;
use crate::error::{Result, utf8};

/// A text or a pair of texts, perhaps with a label.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRow {
    /// The line of the file on which the row begins, from 1.
    pub line: usize,
    /// The text as written, possibly empty.
    pub first: String,
    /// The other text of a pair.
    pub second: Option<String>,
    /// The label, where the table is read with one.
    pub label: Option<Label>,
}

/// The label of an example.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// The name of a class, never empty.
    Class(String),
    /// A finite number.
    Score(f64),
}

/// The examples of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The examples in the order of the file, at least one.
    pub examples: Vec<TableRow>,
    /// The lines that [`Ragged::Skip`](super::Ragged::Skip) left out.
    pub skipped: Vec<usize>,
}

/// The text of a file, without a byte order mark.
pub fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    let text = utf8(bytes, path, 1)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Reads a label.
pub fn label(written: &str, kind: LabelKind) -> std::result::Result<Label, String> {
    if written.trim().is_empty() {
        return Err("the label is empty; fill it in, or take the row out".to_owned());
    }

    match kind {
        LabelKind::Class => Ok(Label::Class(written.to_owned())),
        LabelKind::Score => match written.trim().parse::<f64>() {
            Ok(score) if score.is_finite() => Ok(Label::Score(score)),
            _ => Err(format!(
                "the label `{written}` is no number; write one such as 3.5, or take labels as \
                 classes"
            )),
        },
    }
}
