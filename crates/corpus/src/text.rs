//! A text: where it lies, and how files are cut into documents.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::paths;
use crate::reader::Documents;

/// What separates documents in a plain text file. In every kind of file, a line is a paragraph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentBoundary {
    /// Every line is a document.
    Line,
    /// A blank line stands between documents.
    #[default]
    BlankLine,
    /// The file is one document.
    File,
}

/// Where text lies and how it is cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextConfig {
    /// Files, folders and globs.
    pub paths: Vec<String>,
    /// What separates documents in plain text. A JSON line and a Parquet row are always a document.
    pub document: DocumentBoundary,
    /// The field of a JSON line, or the column of a Parquet file, that holds a document.
    pub text_field: String,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self { paths: Vec::new(), document: DocumentBoundary::default(), text_field: "text".to_owned() }
    }
}

/// What a file holds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Paragraphs, one a line.
    Plain,
    /// A JSON object a line, each a document.
    JsonLines,
    /// A table with a document a row.
    Parquet,
}

/// How a file is compressed, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// A file of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Where it lies.
    pub path: PathBuf,
    /// What it holds.
    pub kind: Kind,
    /// How it is compressed.
    pub compression: Compression,
    /// Its size on disk.
    pub bytes: u64,
}

/// Text files, found and checked, not yet read.
#[derive(Clone, Debug)]
pub struct Text {
    /// How they are cut.
    pub config: TextConfig,
    /// The files, in a fixed order, none twice.
    pub inputs: Vec<Input>,
    pub(crate) hashes: OnceLock<Vec<String>>,
}

impl Text {
    /// Finds the files that `config` names. Folders are searched through for files of known kinds; hidden ones are left
    /// out.
    ///
    /// # Errors
    /// When a path names nothing or something that is no text, or a folder holds no text file.
    pub fn open(config: TextConfig) -> Result<Self> {
        let inputs = paths::find_all(&config.paths)?;
        if inputs.is_empty() {
            return Err(Error::NotFound("no text was given: name at least one file, folder or glob".to_owned()));
        }
        Ok(Self { config, inputs, hashes: OnceLock::new() })
    }

    /// Size of the files on disk.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().map(|input| input.bytes).sum()
    }

    /// Reads the documents, paragraph by paragraph.
    pub fn documents(&self) -> Documents<'_> {
        Documents::new(self)
    }

    /// The files' names, for messages; the first few if there are many.
    pub(crate) fn names(&self) -> String {
        let mut names: Vec<String> = self.inputs.iter().take(5).map(|i| i.path.display().to_string()).collect();
        if self.inputs.len() > names.len() {
            names.push(format!("and {} more files", self.inputs.len() - names.len()));
        }
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_defaults_and_refuses_what_it_does_not_know() {
        let config: TextConfig = serde_json::from_str(r#"{"paths": ["a.txt"], "document": "line"}"#).expect("read");
        assert_eq!((config.document, config.text_field.as_str()), (DocumentBoundary::Line, "text"));
        assert_eq!(serde_json::to_value(DocumentBoundary::BlankLine).expect("written"), "blank-line");
        let error = serde_json::from_str::<TextConfig>(r#"{"path": "a.txt"}"#).expect_err("refused").to_string();
        assert!(error.contains("unknown field `path`"), "{error}");
    }
}
