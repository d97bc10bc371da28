//! Training, development and test data.

/// A part of a task's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Training data.
    Train,
    /// Development data, to choose and to compare models. MNLI has two sets: one of the genres of
    /// training (matched) and one of others.
    Dev,
    /// Test data. The files have no labels: only the benchmark's server has them.
    Test,
}
