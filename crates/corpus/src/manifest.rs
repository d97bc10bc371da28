//! The manifest of a tokenised text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::shards::FileEntry;
use crate::text::TextConfig;

/// The content of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the layout.
    pub format: u32,
    /// How the text was read. The paths in it are not part of the identity of the corpus.
    pub text: TextConfig,
    /// blake3 of each file of text.
    #[serde(rename = "content")]
    pub content_hashes: Vec<String>,
    /// blake3 of each file of spans; empty where no spans are read.
    #[serde(default)]
    pub annotations: Vec<String>,
    /// blake3 of the tokenizer.
    pub tokenizer: String,
    /// Vocabulary size of the tokenizer.
    pub vocabulary: usize,
    /// Counts.
    pub counts: Counts,
    /// Size and hash of each file beside the manifest.
    pub files: BTreeMap<String, FileEntry>,
}

/// Counts of what a text contains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Documents with at least one token.
    pub documents: u64,
    /// Sentences.
    pub sentences: u64,
    /// Words.
    pub words: u64,
    /// Tokens, without special tokens.
    pub tokens: u64,
    /// Bytes of text.
    pub bytes: u64,
    /// Documents that repeat an earlier one.
    pub duplicates: u64,
    /// Unknown tokens.
    pub unknown: u64,
    /// Paragraphs that were cut because they were longer than 1 MiB.
    pub cut: u64,
    /// Rows and JSON lines whose text is null or blank.
    #[serde(default)]
    pub empty: u64,
    /// Annotated spans; spans that share a word count as one.
    #[serde(default)]
    pub spans: u64,
    /// Annotated spans that were left out because they cross a line break or a cut, or contain no
    /// token.
    #[serde(default)]
    pub dropped_spans: u64,
}

/// The file of the manifest of the corpus in `folder`.
pub fn manifest_path(folder: &Path) -> PathBuf {
    folder.join("manifest.json")
}
