//! What can go wrong in training.

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
    /// Weights, checkpoints or logs cannot be read or written.
    #[error(transparent)]
    Files(#[from] checkpoint::Error),
    /// The evaluation failed.
    #[error("the evaluation failed")]
    Evaluation(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system gives no threads.
    #[error("cannot start threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
