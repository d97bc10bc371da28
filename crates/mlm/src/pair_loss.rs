//! The loss over pairs of segments.

use burn::tensor::Tensor;
use kernels::cross_entropy;
use objective::{Tally, Term};
use trunk::{EncoderConfig, PairHead};

/// The flat places of the first tokens of `rows` in sequences of `len` places; of the first
/// sequence where there is no row, see [`pair_loss`].
pub fn first_tokens(rows: &[u32], len: usize) -> Vec<u32> {
    if rows.is_empty() { vec![0] } else { rows.iter().map(|row| row * len as u32).collect() }
}

/// The loss term and, in an evaluation pass, the accuracy, called by `names`, given the hidden
/// states `[n, hidden]` of the first tokens. Without any answer there is one row, which counts
/// nothing, so that every parameter has a gradient.
pub fn pair_loss(
    head: &PairHead,
    first: Tensor<2>,
    answers: &[u32],
    names: [&'static str; 2],
    training: bool,
) -> (Term, Vec<Tally>) {
    let logits = head.forward(first);
    let weight = answers.len() as f64;
    let sum = match answers.is_empty() {
        true => cross_entropy(logits.clone(), &[0]).sum() * 0.0,
        false => cross_entropy(logits.clone(), answers).sum(),
    };
    let tallies = match training || answers.is_empty() {
        true => Vec::new(),
        false => vec![Tally { name: names[1], sum: hits(logits, answers), weight }],
    };
    (Term { tally: Tally { name: names[0], sum, weight }, coefficient: 1.0 }, tallies)
}

/// How many of `logits: [n, 2]` give the right answer the larger value, `[1]`.
fn hits(logits: Tensor<2>, answers: &[u32]) -> Tensor<1> {
    let (device, [n, _]) = (logits.device(), logits.dims());
    let margin = logits.clone().slice([0..n, 1..2]) - logits.slice([0..n, 0..1]);
    let sign: Vec<f32> =
        answers.iter().map(|answer| if *answer == 1 { 1.0 } else { -1.0 }).collect();
    let signed = margin.reshape([n]) * Tensor::<1>::from_data(sign.as_slice(), &device);
    signed.greater_elem(0.0).float().sum()
}

/// Floating-point operations of a pair head over `rows` sequences.
pub fn pair_flops(encoder: &EncoderConfig, rows: usize) -> f64 {
    rows as f64 * 2.0 * encoder.hidden as f64 * (encoder.hidden as f64 + 2.0)
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
