//! What can go wrong between parameters and files.

use std::error::Error as _;
use std::io;

/// What can go wrong between parameters and files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is damaged, or its parameters belong to another model.
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
    pub fn io(message: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let message = message.into();
        move |source| Self::Io { message, source }
    }

    /// The message with its cause, in one line.
    pub fn with_cause(&self) -> String {
        self.source().map_or_else(|| self.to_string(), |cause| format!("{self}: {cause}"))
    }
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
