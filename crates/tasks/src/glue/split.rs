//! Training, development and test data.

/// Which part of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To learn from.
    Train,
    /// To choose and to compare with; MNLI has two, one of the genres of training (matched) and one
    /// of others.
    Dev,
    /// Without labels: they are with the benchmark's server.
    Test,
}
