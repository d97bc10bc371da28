//! The loss over pairs of segments.

use burn::tensor::Tensor;
use kernels::cross_entropy;
use objective::{Tally, Term};
use trunk::PairHead;

/// The flat positions of the first tokens of `rows` in sequences of `len` positions; of the first
/// sequence where there is no row, see [`pair_loss`].
pub fn first_tokens(rows: &[u32], len: usize) -> Vec<u32> {
    if rows.is_empty() { vec![0] } else { rows.iter().map(|row| row * len as u32).collect() }
}

/// The names of a pair loss and its metric.
#[derive(Clone, Copy, Debug)]
pub struct PairNames {
    /// The loss, nats.
    pub loss: &'static str,
    /// How often the class with the larger logit is the label.
    pub accuracy: &'static str,
}

/// The loss term and, in an evaluation pass, the accuracy, given the hidden states `[n, hidden]` of
/// the first tokens. Without any label there is one row, which counts nothing, so that every
/// parameter has a gradient.
pub fn pair_loss(
    head: &PairHead,
    first: Tensor<2>,
    labels: &[u32],
    names: PairNames,
    is_training: bool,
) -> (Term, Vec<Tally>) {
    let logits = head.forward(first);
    let count = labels.len() as f64;
    let sum = if labels.is_empty() {
        cross_entropy(logits.clone(), &[0]).sum() * 0.0
    } else {
        cross_entropy(logits.clone(), labels).sum()
    };

    let mut tallies = Vec::new();
    if !is_training && !labels.is_empty() {
        tallies.push(Tally { name: names.accuracy, sum: hits(logits, labels), count });
    }
    (Term { tally: Tally { name: names.loss, sum, count }, coefficient: 1.0 }, tallies)
}

/// How many of `logits: [n, 2]` give the label the larger value, `[1]`.
fn hits(logits: Tensor<2>, labels: &[u32]) -> Tensor<1> {
    let (device, [n, _]) = (logits.device(), logits.dims());
    let margin = logits.clone().slice([0..n, 1..2]) - logits.slice([0..n, 0..1]);
    let sign: Vec<f32> = labels.iter().map(|label| if *label == 1 { 1.0 } else { -1.0 }).collect();
    let signed = margin.reshape([n]) * Tensor::<1>::from_data(sign.as_slice(), &device);
    signed.greater_elem(0.0).float().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_larger_logit_answers() {
        let logits =
            Tensor::<2>::from_floats([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]], &Device::flex());
        assert_eq!(hits(logits, &[1, 0, 1]).into_scalar::<f32>(), 2.0);
    }
}
