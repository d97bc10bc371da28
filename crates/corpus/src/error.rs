//! What can go wrong between text and passages.

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong between text and passages.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A path, a glob or a folder names no text.
    #[error("{0}")]
    NotFound(String),
    /// A file is of a kind that cannot be read as text.
    #[error("{0}")]
    Unreadable(String),
    /// A text is not UTF-8.
    #[error("{} is not UTF-8 at byte {offset}{}; {hint}", path.display(), if *compressed { " of the decompressed text" } else { "" })]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Offset of the first byte that is at fault, in the decompressed text.
        offset: u64,
        /// Whether the file is compressed.
        compressed: bool,
        /// What to do.
        hint: &'static str,
    },
    /// A compressed file ends early or does not unpack.
    #[error("{}: {problem}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A line of a file of JSON lines is no record with a text.
    #[error("{}, line {line}: {problem}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong, and what to write.
        problem: String,
    },
    /// A Parquet file is damaged or has no such column.
    #[error("{}: {problem}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// There is no text, or no document for a split.
    #[error("{0}")]
    Empty(String),
    /// A tokenizer cannot be read, trained or used.
    #[error("{0}")]
    Tokenizer(String),
    /// A setting cannot be.
    #[error("{0}")]
    Settings(String),
    /// A file of a tokenised corpus is not what was written.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it shows.
        problem: String,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Error {
    /// Whether the user's text, tokenizer or settings are at fault, not the machine and not the user's patience.
    pub fn is_bad_data(&self) -> bool {
        !matches!(self, Self::Interrupted | Self::Io { .. })
    }

    pub(crate) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), problem: problem.into() }
    }
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
