//! ELECTRA and ELECTRA 15 %: which tokens were replaced.

use ::objective::{Decisions, Step, Tally, Term};
use burn::tensor::{Device, Tensor};

use crate::batch::Corrupted;
use crate::config::Variant;
use crate::discriminator::{RtdHead, binary_cross_entropy};
use crate::model::RtdModel;
use crate::objective::Rtd;
use crate::pass::{Pass, floats, number_of};

/// Hidden states of the rows that are decided about, `[n, hidden]`.
struct Detection {
    hidden: Tensor<2>,
    /// Whether each token was replaced.
    replaced: Vec<bool>,
    /// Whether each row counts: padding does not.
    counts: Vec<bool>,
}

impl Rtd {
    /// The loss of telling replaced tokens from originals, over all tokens or over the chosen
    /// positions.
    pub(crate) fn detect(
        &self,
        model: &RtdModel,
        head: &RtdHead,
        corrupted: &Corrupted,
        pass: Pass<'_>,
    ) -> Step {
        let (device, is_evaluation) = (pass.device, pass.noise.is_none());
        let Detection { hidden, replaced, counts } = self.decided_rows(model, corrupted, pass);

        let logits = head.forward(hidden);
        let losses = binary_cross_entropy(logits.clone(), &replaced);
        let sum = (losses * floats(&counts, device)).sum();
        let tally = Tally { name: "rtd/loss", sum, count: number_of(&counts) };
        let term = Term { tally, coefficient: self.config().encoder_weight() };

        let mut step = Step::new(vec![term], Vec::new());
        if is_evaluation {
            let scores: Vec<f32> = logits.into_data().iter::<f32>().collect();
            step.tallies = tallies(&scores, &replaced, &counts, corrupted, device);
            step.decisions = Some(decisions(&scores, &replaced, &counts));
        }
        step
    }

    /// The rows that the variant decides about.
    fn decided_rows(
        &self,
        model: &RtdModel,
        corrupted: &Corrupted,
        Pass { noise, device }: Pass<'_>,
    ) -> Detection {
        let input = corrupted.sequences.input(device);
        if self.config().variant != Variant::Electra15 {
            let (replaced, counts) = corrupted.rows(&input);
            return Detection { hidden: model.encoder.forward(&input, noise), replaced, counts };
        }

        if corrupted.positions.is_empty() {
            // One row that counts nothing gives every parameter a gradient.
            let hidden = model.encoder.forward_at(&input, &[0], noise);
            return Detection { hidden, replaced: vec![false], counts: vec![false] };
        }

        Detection {
            hidden: model.encoder.forward_at(&input, &corrupted.positions, noise),
            replaced: corrupted.replaced.clone(),
            counts: vec![true; corrupted.positions.len()],
        }
    }
}

/// How often the decision is right, how often a token was replaced, and how often a sample is the
/// original.
fn tallies(
    scores: &[f32],
    replaced: &[bool],
    counts: &[bool],
    corrupted: &Corrupted,
    device: &Device,
) -> Vec<Tally> {
    let rows = || counts.iter().zip(replaced).zip(scores);
    let hits: Vec<bool> =
        rows().map(|((counts, replaced), score)| *counts && (*score > 0.0) == *replaced).collect();
    let fakes: Vec<bool> = rows().map(|((counts, replaced), _)| *counts && *replaced).collect();
    let originals: Vec<bool> = corrupted.replaced.iter().map(|replaced| !replaced).collect();

    let (count, samples) = (number_of(counts), originals.len() as f64);
    let tally =
        |name, flags: &[bool], count| Tally { name, sum: floats(flags, device).sum(), count };
    let mut tallies =
        vec![tally("rtd/accuracy", &hits, count), tally("rtd/replaced", &fakes, count)];
    if !originals.is_empty() {
        tallies.push(tally("rtd/sampled_originals", &originals, samples));
    }
    tallies
}

fn decisions(scores: &[f32], replaced: &[bool], counts: &[bool]) -> Decisions {
    let rows = || counts.iter().zip(replaced).zip(scores).filter(|((counts, _), _)| **counts);
    Decisions {
        name: "rtd",
        scores: rows().map(|(_, score)| *score).collect(),
        labels: rows().map(|((_, replaced), _)| *replaced).collect(),
    }
}
