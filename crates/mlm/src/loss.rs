//! The loss over predicted positions, for every objective that has one.

use burn::tensor::{Device, Tensor, TensorData};
use kernels::{Scores, Targets};
use objective::{Error, Tally, Term, TokenOutcomes};
use trunk::{Encoder, MlmHead, Predicted, Sequences};

use crate::batch::MlmBatch;
use crate::masking::Replacement;

/// The names of the loss and its metrics.
#[derive(Clone, Copy, Debug)]
pub struct MetricNames {
    /// The loss over all targets, nats.
    pub loss: &'static str,
    /// How often the most probable token is the target.
    pub accuracy: &'static str,
    /// The accuracy over the targets that are replaced by the mask token.
    pub masked_accuracy: &'static str,
    /// The loss over the targets that are replaced by the mask token.
    pub masked_loss: &'static str,
}

/// A loss over predicted positions.
#[derive(Clone, Copy, Debug)]
pub struct MlmLoss {
    /// Its names.
    pub names: MetricNames,
    /// What the square of the log of the softmax's denominator is multiplied by and added to the
    /// loss of each target in training (z-loss; Chowdhery et al. 2022, section 5). 0: none.
    pub z_loss: f64,
}

impl MlmLoss {
    /// A loss with the z-loss of an `[objective]` table.
    ///
    /// # Errors
    /// When it is negative or no number.
    pub fn new(names: MetricNames, z_loss: f64) -> Result<Self, Error> {
        if z_loss >= 0.0 && z_loss.is_finite() {
            Ok(Self { names, z_loss })
        } else {
            Err(Error(format!("z_loss = {z_loss}: must be at least 0")))
        }
    }
}

impl From<MetricNames> for MlmLoss {
    fn from(names: MetricNames) -> Self {
        Self { names, z_loss: 0.0 }
    }
}

/// The names in masked language modelling.
pub const NAMES: MetricNames = MetricNames {
    loss: "mlm/loss",
    accuracy: "mlm/accuracy",
    masked_accuracy: "mlm/masked_accuracy",
    masked_loss: "mlm/masked_loss",
};

impl MlmBatch {
    /// The flat positions whose hidden states the loss needs. Independent draws can leave a batch
    /// without a target: then it is the first position, which counts nothing, so that every
    /// parameter has a gradient of zero.
    pub fn predicted_positions(&self) -> &[u32] {
        if self.positions.is_empty() { &[0] } else { &self.positions }
    }

    /// The loss term and, in an evaluation pass, its metrics; `predicted` is at
    /// [`MlmBatch::predicted_positions`].
    pub fn loss(
        &self,
        loss: impl Into<MlmLoss>,
        predicted: Predicted<'_>,
        training: bool,
    ) -> (Term, Vec<Tally>) {
        let MlmLoss { names, z_loss } = loss.into();
        let Predicted { hidden, head, table, .. } = predicted;
        let targets = self.targets(if training { z_loss } else { 0.0 });

        let (sum, tallies) = if training || self.labels.is_empty() {
            (head.loss(hidden, table, targets), Vec::new())
        } else {
            let scores = head.scores(hidden.clone(), table.clone(), &self.labels);
            let tallies = self.tallies(names, &scores);
            let sum = if hidden.device().is_autodiff() {
                head.loss(hidden, table, targets)
            } else {
                scores.losses.sum()
            };
            (sum, tallies)
        };

        (self.term(names, sum), tallies)
    }

    /// The loss term of a training pass, and what came of its targets.
    pub fn loss_and_outcomes(
        &self,
        loss: MlmLoss,
        predicted: Predicted<'_>,
    ) -> (Term, TokenOutcomes) {
        let Predicted { hidden, head, table, .. } = predicted;
        let [sum, hits] = head.loss_and_hits(hidden, table, self.targets(loss.z_loss));
        let outcomes = TokenOutcomes { labels: self.labels.clone(), hits };
        (self.term(loss.names, sum), outcomes)
    }

    /// What is to be predicted at [`MlmBatch::predicted_positions`].
    fn targets(&self, z_loss: f64) -> Targets {
        let targets = if self.labels.is_empty() {
            Targets { weights: Some(vec![0.0]), ..Targets::new(vec![0]) }
        } else {
            Targets::new(self.labels.clone())
        };
        Targets { z_loss: z_loss as f32, ..targets }
    }

    fn term(&self, names: MetricNames, sum: Tensor<1>) -> Term {
        let count = self.labels.len() as f64;
        Term { tally: Tally { name: names.loss, sum, count }, coefficient: 1.0 }
    }

    /// How often the most probable token is the right one: over all targets, and over those that
    /// are masked out.
    fn tallies(&self, names: MetricNames, scores: &Scores) -> Vec<Tally> {
        let Scores { losses, hits, .. } = scores;
        let masked = |r: &Replacement| if *r == Replacement::Mask { 1.0 } else { 0.0 };
        let masked: Vec<f32> = self.replacements.iter().map(masked).collect();
        let count = masked.iter().map(|m| f64::from(*m)).sum();
        let n = masked.len();
        let masked = Tensor::<1>::from_data(TensorData::new(masked, [n]), &hits.device());

        vec![
            Tally { name: names.accuracy, sum: hits.clone().sum(), count: n as f64 },
            Tally {
                name: names.masked_accuracy,
                sum: (hits.clone() * masked.clone()).sum(),
                count,
            },
            Tally { name: names.masked_loss, sum: (losses.clone() * masked).sum(), count },
        ]
    }
}

/// What predicts the tokens at the flat `positions` of `sequences`.
pub fn predicted<'m>(
    encoder: &'m Encoder,
    head: &'m MlmHead,
    sequences: &Sequences,
    positions: &[u32],
    device: &Device,
) -> Predicted<'m> {
    let hidden = encoder.forward_at(&sequences.input(device), positions, None);
    Predicted::new(hidden, head, encoder.embeddings.tokens.val())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MlmModel;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use trunk::EncoderConfig;

    #[test]
    fn the_token_table_takes_the_gradients_of_the_input_and_of_the_output() {
        let config = EncoderConfig {
            vocabulary: 30,
            hidden: 16,
            feed_forward: 24,
            positions: 8,
            ..Default::default()
        };

        let device = Device::flex().autodiff();
        let model = MlmModel::init(&config, &mut ChaCha8Rng::seed_from_u64(1), &device);
        let sequences = Sequences::pad(&[vec![2, 7, 4, 9, 3], vec![2, 4, 8, 3]], 0);
        let replacements = vec![Replacement::Mask; 2];
        let batch =
            MlmBatch { sequences, positions: vec![2, 6], labels: vec![11, 7], replacements };

        let input = batch.sequences.input(&device);
        let table = || model.encoder.embeddings.tokens.val();
        let gradient = |input_table: Tensor<2>, output_table: Tensor<2>| -> Vec<f32> {
            let embedded = model.encoder.embeddings.places.forward(input_table, &input, None);
            let hidden = model.encoder.stack.forward_at(embedded, &input, &batch.positions, None);
            let head = &model.head;
            let predicted = Predicted::new(hidden, head, output_table);
            let (term, _) = batch.loss(NAMES, predicted, true);
            let gradients = term.tally.sum.backward();
            table().grad(&gradients).expect("a gradient").into_data().iter::<f32>().collect()
        };

        let both = gradient(table(), table());
        let (of_input, of_output) =
            (gradient(table(), table().detach()), gradient(table().detach(), table()));
        for ((a, b), both) in of_input.iter().zip(&of_output).zip(&both) {
            assert!((a + b - both).abs() < 1e-5, "{a} + {b} is not {both}");
        }

        let used =
            |values: &[f32]| values.chunks(16).filter(|row| row.iter().any(|x| *x != 0.0)).count();
        assert_eq!(
            (used(&of_input), used(&of_output)),
            (6, 30),
            "rows of the tokens seen; all rows of the softmax"
        );
    }
}
