//! What can go wrong with a Hugging Face folder.

use std::fmt::Display;
use std::path::Path;

/// What can go wrong with a Hugging Face folder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder is damaged, its model cannot be computed here, or transformers cannot compute a
    /// model of this project.
    #[error("{0}")]
    Data(String),
    /// Weights or other files cannot be read or written.
    #[error(transparent)]
    Files(#[from] checkpoint::Error),
    /// The tokenizer cannot be written.
    #[error(transparent)]
    Tokenizer(#[from] corpus::Error),
}

impl Error {
    /// The error of a file whose content is at fault.
    pub(crate) fn of_file(path: &Path, what: impl Display) -> Self {
        Self::Data(format!("{}: {what}", path.display()))
    }
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
