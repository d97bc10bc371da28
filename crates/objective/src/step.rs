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

/// The tokens that were predicted.
#[derive(Clone, Debug)]
pub struct TokenOutcomes {
    /// The right token of each target.
    pub labels: Vec<u32>,
    /// 1 where the most probable token is the right one, else 0, `[n]`.
    pub hits: Tensor<1>,
}

/// How often tokens are chosen follows how hard they are to predict (AMLM; Edman and Fraser 2025).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenWeighting {
    /// Steps between two updates of the weights.
    pub every: u64,
    /// Least weight before weights are scaled to a mean of 1.
    pub floor: f64,
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
    /// What came of the tokens that were predicted, where [`crate::Objective::token_weighting`] asks
    /// for it; only in training passes.
    pub outcomes: Option<TokenOutcomes>,
    /// The model's outputs for each example, for [`crate::Objective::metrics`]; only in evaluation
    /// passes.
    pub outputs: Vec<Vec<f32>>,
}

impl Step {
    /// A step of these terms and metrics.
    pub fn new(terms: Vec<Term>, tallies: Vec<Tally>) -> Self {
        Self { terms, tallies, decisions: None, outcomes: None, outputs: Vec::new() }
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
