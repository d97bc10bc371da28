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

/// One term of the loss. The loss of a step is the sum over terms of `coefficient * sum / weight`, sum and weight taken
/// over all micro-batches of the step.
#[derive(Clone, Debug)]
pub struct Term {
    /// Summed loss in nats and number of targets.
    pub tally: Tally,
    /// What the mean is multiplied with in the total.
    pub coefficient: f64,
}

/// Loss terms and other quantities of one micro-batch.
#[derive(Clone, Debug)]
pub struct Step {
    /// The loss, term by term, always in the same order.
    pub terms: Vec<Term>,
    /// Metrics that are not part of the loss. Only evaluation passes need to have any.
    pub tallies: Vec<Tally>,
}

impl Step {
    /// The share of this micro-batch in the loss of its step, `[1]`, given each term's weight over the whole step.
    /// A term without any target contributes nothing.
    ///
    /// # Panics
    /// When `totals` does not hold one weight a term, or there is no term.
    pub fn loss(&self, totals: &[f64]) -> Tensor<1> {
        assert_eq!(totals.len(), self.terms.len(), "one total a term");
        let share = |(term, total): (&Term, &f64)| {
            let factor = if *total > 0.0 { term.coefficient / total } else { 0.0 };
            term.tally.sum.clone() * factor
        };
        self.terms.iter().zip(totals).map(share).reduce(|a, b| a + b).expect("an objective has a loss term")
    }
}
