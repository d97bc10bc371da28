//! What can go wrong in an evaluation.

use std::io;

/// What can go wrong in an evaluation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The model or the data are at fault.
    #[error("{0}")]
    Data(String),
    /// The objective refuses its knobs.
    #[error(transparent)]
    Objective(#[from] objective::Error),
    /// The objective does not know one of its knobs.
    #[error(transparent)]
    Settings(#[from] settings::Error),
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
