//! What can go wrong between text and passages.

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong between text and passages.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Text, tokenizer or settings are at fault.
    #[error("{0}")]
    Data(String),
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
    /// Whether the user's text, tokenizer or settings are at fault, not the machine.
    pub fn is_bad_data(&self) -> bool {
        matches!(self, Self::Data(_))
    }

    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self::Data(message.into())
    }

    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
