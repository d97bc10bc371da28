//! The result of a forward pass: sums and their counts.

use burn::tensor::Tensor;

/// A sum over a batch and the number of its terms.
#[derive(Clone, Debug)]
pub struct Tally {
    /// `objective/quantity`, such as `mlm/accuracy`.
    pub name: &'static str,
    /// The sum, `[1]`.
    pub sum: Tensor<1>,
    /// The number of terms of the sum, by which it is divided for the mean.
    pub count: f64,
}

/// One term of the loss. The loss of a step is the sum over terms of `coefficient * sum / count`,
/// sum and count taken over all micro-batches of the step.
#[derive(Clone, Debug)]
pub struct Term {
    /// Summed loss in nats and number of targets.
    pub tally: Tally,
    /// The factor of the mean in the total loss.
    pub coefficient: f64,
}

/// Scores of binary decisions and their labels, from an evaluation pass: for metrics that are no
/// means, such as the area under the ROC curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// Prefix of the metrics, such as `rtd`.
    pub name: &'static str,
    /// The logit of "yes" of each decision.
    pub scores: Vec<f32>,
    /// The labels.
    pub labels: Vec<bool>,
}

/// Loss terms and other quantities of one micro-batch.
#[derive(Clone, Debug)]
pub struct Step {
    /// The loss, term by term, always in the same order.
    pub terms: Vec<Term>,
    /// Metrics that are not part of the loss. Only evaluation passes need to have any.
    pub tallies: Vec<Tally>,
    /// Binary decisions; only in evaluation passes.
    pub decisions: Option<Decisions>,
    /// The model's outputs for each example, for [`crate::Objective::metrics`]; only in evaluation
    /// passes.
    pub outputs: Vec<Vec<f32>>,
}

impl Step {
    /// A step of these terms and metrics.
    pub fn new(terms: Vec<Term>, tallies: Vec<Tally>) -> Self {
        Self { terms, tallies, decisions: None, outputs: Vec::new() }
    }

    /// The share of this micro-batch in the loss of its step, `[1]`, given each term's targets over
    /// the whole step. A term without any target contributes nothing.
    ///
    /// # Panics
    /// When `target_counts` does not hold one count a term, or there is no term.
    pub fn loss(&self, target_counts: &[f64]) -> Tensor<1> {
        assert_eq!(target_counts.len(), self.terms.len(), "one count a term");
        let share = |(term, count): (&Term, &f64)| {
            let factor = if *count > 0.0 { term.coefficient / count } else { 0.0 };
            term.tally.sum.clone() * factor
        };

        self.terms
            .iter()
            .zip(target_counts)
            .map(share)
            .reduce(|a, b| a + b)
            .expect("an objective has a loss term")
    }
}
