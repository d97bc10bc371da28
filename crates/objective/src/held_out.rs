//! Evaluations of held-out text that only models of one objective have.

/// An evaluation of held-out text: the objective's loss and metrics under certain knobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOutTask {
    /// The value of `--task`.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Knobs of the objective that take the place of the run's own.
    pub knobs: &'static [(&'static str, &'static str)],
    /// The metric that the task is about.
    pub metric: &'static str,
    /// Why a model or a text may lack the metric.
    pub without_metric: &'static str,
    /// What the metric is the share of.
    pub counts: MetricOf,
}

/// What the metric of a [`HeldOutTask`] is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricOf {
    /// Tokens, which depend on each other: no interval is told.
    Tokens,
    /// Pairs of segments, each asked both ways: half as many independent answers, whose interval is
    /// told.
    PairsBothWays,
}
