//! Evaluations of held-out text that only models of one objective have.

/// An evaluation of held-out text: the objective's loss and metrics under certain settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOutTask {
    /// The value of `--task`.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Settings of the objective that replace those of the run.
    pub knobs: &'static [(&'static str, &'static str)],
    /// The metric that the task reports.
    pub metric: &'static str,
    /// The reason why a model or a text may lack the metric.
    pub without_metric: &'static str,
    /// What the metric is a share of.
    pub counts: MetricOf,
}

/// The units over which the metric of a [`HeldOutTask`] is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricOf {
    /// Tokens, which depend on each other: no confidence interval is given.
    Tokens,
    /// Pairs of segments, each asked both ways: a confidence interval is given, of half as many
    /// independent answers.
    PairsBothWays,
}
