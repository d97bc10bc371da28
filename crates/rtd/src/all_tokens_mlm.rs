//! All-Tokens MLM: the original of every token, with a copy gate.

use ::objective::{Step, Tally, Term};
use burn::tensor::{Device, Tensor};
use kernels::{Scores, Targets};
use trunk::EncoderInput;

use crate::batch::{Corrupted, RtdBatch};
use crate::discriminator::binary_cross_entropy;
use crate::model::{CopyHeads, RtdModel};
use crate::objective::Rtd;
use crate::pass::{Pass, floats, number_of};

/// The tokens of the corrupted sequences, row by row as the device holds them.
struct Rows {
    input: EncoderInput,
    /// The original tokens.
    labels: Vec<u32>,
    /// Whether each token was replaced.
    replaced: Vec<bool>,
    /// Whether each row is a token, not padding.
    real: Vec<bool>,
}

/// What the heads compute of every row, on the host.
struct RowScores {
    /// `-ln p` of the original under the softmax.
    losses: Vec<f32>,
    /// The gate's logits `g`.
    gates: Vec<f32>,
}

impl Rtd {
    /// The loss over all tokens.
    ///
    /// With `g` the gate's logit, `D = sigmoid(g)` and `p` the softmax's probability of the
    /// original, a replaced token costs `softplus(g) - ln p`, and one that is the input
    /// `softplus(g) - ln(e^g + p)`. The softmax's gradient is that of `-r ln p` with `r = 1` for a
    /// replaced token and otherwise `r = p / (e^g + p)`, the softmax's share in the probability; so
    /// it is the weighted loss of the output layer, which holds only a chunk of the logits at a
    /// time.
    pub(crate) fn all_tokens_mlm(
        &self,
        model: &RtdModel,
        heads: CopyHeads<'_>,
        batch: &RtdBatch,
        corrupted: &Corrupted,
        Pass { noise, device }: Pass<'_>,
    ) -> Step {
        let is_evaluation = noise.is_none();
        let rows = Rows::new(batch, corrupted, device);
        let table = model.encoder.embeddings.tokens.val();
        let hidden = model.encoder.forward(&rows.input, noise);

        let scores = heads.head.scores(hidden.clone(), table.clone(), &rows.labels);
        let logits = heads.gate.forward(hidden.clone());
        let on_host = RowScores {
            losses: to_host(scores.losses.clone()),
            gates: logits.clone().into_data().iter::<f32>().collect(),
        };

        let each = rows.losses(logits, &on_host.losses, device);
        let weights = Some(rows.softmax_shares(&on_host));
        let targets = Targets { weights, ..Targets::new(rows.labels.clone()) };
        let surrogate = heads.head.loss(hidden.clone(), table.clone(), targets);
        let sum = each.clone().sum() + surrogate.clone() - surrogate.detach();
        let tally = Tally { name: "mlm/loss", sum, count: number_of(&rows.real) };
        let term = Term { tally, coefficient: self.config().encoder_weight() };

        let mut step = Step::new(vec![term], Vec::new());
        if is_evaluation {
            let inputs = to_host(heads.head.scores(hidden, table, &rows.input.tokens).losses);
            step.tallies = rows.tallies(corrupted, each, scores, &on_host, &inputs, device);
        }
        step
    }
}

impl Rows {
    fn new(batch: &RtdBatch, corrupted: &Corrupted, device: &Device) -> Self {
        let input = corrupted.sequences.input(device);
        let (replaced, real) = corrupted.rows(&input);

        let original = batch.mlm.unmasked();
        let label = |(row, position): (&u32, &u32)| {
            original.tokens[*row as usize * original.len + *position as usize]
        };
        let labels = input.rows.sequences().iter().zip(input.rows.positions()).map(label).collect();
        Self { input, labels, replaced, real }
    }

    /// The loss of every row as a number: only the gate's part has a gradient.
    fn losses(&self, logits: Tensor<2>, losses: &[f32], device: &Device) -> Tensor<1> {
        let nothing = vec![false; self.labels.len()];
        let softplus = |x: Tensor<2>| binary_cross_entropy(x, &nothing);
        let copied: Vec<bool> = self
            .real
            .iter()
            .zip(&self.replaced)
            .map(|(real, replaced)| *real && !replaced)
            .collect();

        let negative_log = Tensor::<1>::from_data(losses, device);
        let shifted = logits.clone() + negative_log.clone().unsqueeze_dim(1);
        (softplus(logits) + negative_log) * floats(&self.real, device)
            - softplus(shifted) * floats(&copied, device)
    }

    /// The softmax's share `r` in the probability of the original, of every row; 0 for padding.
    fn softmax_shares(&self, RowScores { losses, gates }: &RowScores) -> Vec<f32> {
        let share = |i: usize| {
            if !self.real[i] {
                0.0
            } else if self.replaced[i] {
                1.0
            } else {
                // sigmoid(ln p - g)
                1.0 / (1.0 + (gates[i] + losses[i]).exp())
            }
        };
        (0..self.labels.len()).map(share).collect()
    }

    /// Accuracy and loss at the chosen positions; `inputs` is `-ln p` of the token in the input.
    fn tallies(
        &self,
        corrupted: &Corrupted,
        each: Tensor<1>,
        scores: Scores,
        RowScores { losses, gates }: &RowScores,
        inputs: &[f32],
        device: &Device,
    ) -> Vec<Tally> {
        let chosen = self.chosen(corrupted);
        let (lowest, hits) = (to_host(scores.lowest), to_host(scores.hits));
        // Whether no other token has a higher probability, in units of 1 - D.
        let is_best = |i: usize| {
            let (copy, original) = (gates[i].exp(), (-losses[i]).exp());
            if self.replaced[i] {
                hits[i] > 0.0 && original >= copy + (-inputs[i]).exp()
            } else {
                copy + original >= (-lowest[i]).exp()
            }
        };
        let right: Vec<bool> = (0..self.labels.len()).map(|i| chosen[i] && is_best(i)).collect();

        let count = number_of(&chosen);
        let accuracy = floats(&right, device).sum();
        let loss = (each * floats(&chosen, device)).sum();
        vec![
            Tally { name: "mlm/accuracy", sum: accuracy, count },
            Tally { name: "mlm/chosen_loss", sum: loss, count },
        ]
    }

    /// Whether each row is at a chosen position.
    fn chosen(&self, corrupted: &Corrupted) -> Vec<bool> {
        let rows = self.input.rows.sequences().iter().zip(self.input.rows.positions());
        let len = corrupted.sequences.len as u32;
        rows.map(|(row, position)| {
            corrupted.positions.binary_search(&(row * len + position)).is_ok()
        })
        .collect()
    }
}

fn to_host(values: Tensor<1>) -> Vec<f32> {
    values.into_data().iter::<f32>().collect()
}
