//! What can go wrong between run folders and a report.

use std::io;

/// What can go wrong between run folders and a report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A run is damaged.
    #[error("{0}")]
    Data(String),
    /// The operating system refused something.
    #[error("{message}")]
    Io {
        /// What was attempted.
        message: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Error {
    /// The error of an operation described by `message`.
    pub(crate) fn io(message: String) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { message, source }
    }
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
