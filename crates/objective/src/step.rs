//! What a forward pass returns: sums and their weights.

use burn::tensor::Tensor;

/// A sum over a batch and the number of things summed.
#[derive(Clone, Debug)]
pub struct Tally {
    /// `objective/quantity`, such as `mlm/accuracy`.
    pub name: &'static str,
    /// The sum, `[1]`.
    pub sum: Tensor<1>,
    /// How many things were summed.
    pub weight: f64,
}

/// One term of the loss. The loss of a step is the sum over terms of `coefficient * sum / weight`,
/// sum and weight taken over all micro-batches of the step.
#[derive(Clone, Debug)]
pub struct Term {
    /// Summed loss in nats and number of targets.
    pub tally: Tally,
    /// What the mean is multiplied with in the total.
    pub coefficient: f64,
}

/// Scores of yes-or-no questions and their answers, from an evaluation pass: for metrics that are
/// no means, such as the area under the ROC curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// Prefix of the metrics, such as `rtd`.
    pub name: &'static str,
    /// The logit of "yes" for each question.
    pub scores: Vec<f32>,
    /// The answers.
    pub answers: Vec<bool>,
}

/// Loss terms and other quantities of one micro-batch.
#[derive(Clone, Debug)]
pub struct Step {
    /// The loss, term by term, always in the same order.
    pub terms: Vec<Term>,
    /// Metrics that are not part of the loss. Only evaluation passes need to have any.
    pub tallies: Vec<Tally>,
    /// Yes-or-no questions; only in evaluation passes.
    pub decisions: Option<Decisions>,
    /// What the model says about each example, for [`crate::Objective::judge`]; only in evaluation
    /// passes.
    pub outputs: Vec<Vec<f32>>,
}

impl Step {
    /// A step of these terms and metrics.
    pub fn new(terms: Vec<Term>, tallies: Vec<Tally>) -> Self {
        Self { terms, tallies, decisions: None, outputs: Vec::new() }
    }

    /// The share of this micro-batch in the loss of its step, `[1]`, given each term's weight over
    /// the whole step. A term without any target contributes nothing.
    ///
    /// # Panics
    /// When `totals` does not hold one weight a term, or there is no term.
    pub fn loss(&self, totals: &[f64]) -> Tensor<1> {
        assert_eq!(totals.len(), self.terms.len(), "one total a term");
        let share = |(term, total): (&Term, &f64)| {
            let factor = if *total > 0.0 { term.coefficient / total } else { 0.0 };
            term.tally.sum.clone() * factor
        };
        self.terms
            .iter()
            .zip(totals)
            .map(share)
            .reduce(|a, b| a + b)
            .expect("an objective has a loss term")
    }
}
