//! What can go wrong in training.

use std::io;

/// What can go wrong in training.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings or the data are at fault.
    #[error("{0}")]
    Data(String),
    /// The loss is no longer a number.
    #[error("{0}")]
    Diverged(String),
    /// The machine has too little memory.
    #[error("{0}")]
    Memory(String),
    /// The monitor asked to stop, and the run is saved.
    #[error("interrupted")]
    Interrupted,
    /// A part of the program broke a promise to another.
    #[error("{0}")]
    Internal(String),
    /// Weights or checkpoints cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    /// The evaluation failed.
    #[error("the evaluation failed")]
    Evaluation(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system gives no threads.
    #[error("cannot start threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
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
    pub(crate) fn io(message: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let message = message.into();
        move |source| Self::Io { message, source }
    }
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
