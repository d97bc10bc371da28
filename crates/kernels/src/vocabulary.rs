//! The output layer over a vocabulary with its cross-entropy.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::parts;
use crate::cpu::vocabulary::{self, Gradients, Sampling, Targets};
use crate::flex::{runs_fused, tensor, values, values_mut, vector};
use crate::linear::linear;
use crate::output::{KnownLayer, OutputLayer};
use crate::precision::Precision;
use crate::rule::{Rule, Tensors, record};

impl OutputLayer {
    /// `[n, vocabulary]`
    pub fn logits(self) -> Tensor<2> {
        linear(self.hidden, self.table.transpose(), self.bias, self.precision)
    }
}

/// `sum_i w_i * (-log softmax(logits_i)[label_i] + z_loss * logsumexp(logits_i)^2)` in nats, `[1]`.
/// On the CPU logits are held for a limited number of rows at a time, so memory does not grow with
/// rows times vocabulary.
///
/// # Panics
/// When there is not one label, and one weight if there are any, for each row.
pub fn vocabulary_loss(layer: OutputLayer, targets: Targets) -> Tensor<1> {
    if runs_fused(&layer.hidden) {
        return fused_loss_and_hits(layer, targets).narrow(0, 0, 1);
    }
    check(&layer, &targets);
    composed::vocabulary_loss(layer, &targets)
}

/// [`vocabulary_loss`], and for each row 1 where its most probable token is the right one, else 0,
/// without a gradient, `[n]`.
///
/// # Panics
/// As [`vocabulary_loss`].
pub fn vocabulary_loss_and_hits(layer: OutputLayer, targets: Targets) -> [Tensor<1>; 2] {
    let n = targets.labels.len();
    if runs_fused(&layer.hidden) {
        let both = fused_loss_and_hits(layer, targets);
        return [both.clone().narrow(0, 0, 1), both.narrow(0, 1, n).detach()];
    }
    check(&layer, &targets);
    let best = layer.clone().logits().detach().argmax(1).squeeze_dim::<1>(1);
    let hits = best.equal(composed::ids(&targets.labels, &layer.hidden.device())).float();
    [composed::vocabulary_loss(layer, &targets), hits]
}

fn check(layer: &OutputLayer, targets: &Targets) {
    let [n, _] = layer.hidden.dims();
    assert_eq!(targets.labels.len(), n, "a label a row");
    assert!(targets.weights.as_ref().is_none_or(|weights| weights.len() == n), "a weight a row");
}

/// The loss, then the hit of each row, `[1 + n]`.
fn fused_loss_and_hits(layer: OutputLayer, targets: Targets) -> Tensor<1> {
    check(&layer, &targets);
    let OutputLayer { hidden, table, bias, precision } = layer;
    let (table, bias) = (table.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::vocabulary_loss(
        hidden.into_dispatch(),
        table,
        bias,
        targets,
        precision,
    ))
}

/// What an evaluation wants to know of each predicted position.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Loss in nats, `[n]`.
    pub losses: Tensor<1>,
    /// The loss that the most probable token would have, `[n]`.
    pub lowest: Tensor<1>,
    /// 1 where the most probable token is the right one, else 0, `[n]`.
    pub hits: Tensor<1>,
}

/// The scores of each row, without gradients.
///
/// # Panics
/// When there is not one label for each row.
pub fn vocabulary_scores(layer: OutputLayer, labels: &[u32]) -> Scores {
    let [n, _] = layer.hidden.dims();
    assert_eq!(labels.len(), n, "a label a row");
    let device = layer.hidden.device();
    if !runs_fused(&layer.hidden) {
        let logits = layer.logits();
        let labels = composed::ids(labels, &device);
        let best = logits.clone().argmax(1).squeeze_dim::<1>(1);
        let hits = best.clone().equal(labels.clone()).float();
        let lowest = composed::cross_entropy(logits.clone(), best);
        return Scores { losses: composed::cross_entropy(logits, labels), lowest, hits };
    }
    let [losses, lowest, hits] = vocabulary_losses(layer.without_graph(), labels);
    let upload = |values: Vec<f32>| Tensor::from_data(values.as_slice(), &device);
    Scores { losses: upload(losses), lowest: upload(lowest), hits: upload(hits) }
}

/// A token for each row, drawn from the softmax of its logits: the largest of logits over
/// temperature and Gumbel noise (Gumbel 1954), which is counted from the row's key, so that a key
/// draws the same on every backend but for rounding. Reads the result back from the device.
///
/// # Panics
/// When there is not one key for each row.
pub fn vocabulary_sample(layer: OutputLayer, sampling: &Sampling) -> Vec<u32> {
    let [n, _] = layer.hidden.dims();
    assert_eq!(sampling.keys.len(), n, "a key a row");
    if runs_fused(&layer.hidden) {
        vocabulary_draws(layer.without_graph(), sampling)
    } else {
        composed::vocabulary_sample(layer, sampling)
    }
}

/// The loss of an output layer.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait VocabularyOps: Backend {
    /// The weighted sum of the losses of rows of hidden states, and the hit of each, `[1 + n]`.
    fn vocabulary_loss(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: Targets,
        precision: Precision,
    ) -> FloatTensor<Self>;
}

impl VocabularyOps for Flex {
    fn vocabulary_loss(
        hidden: FlexTensor,
        table: FlexTensor,
        bias: FlexTensor,
        targets: Targets,
        precision: Precision,
    ) -> FlexTensor {
        let layer = KnownLayer { hidden, table, bias, precision };
        let [losses, _, hits] = vocabulary_losses(layer, &targets.labels);
        let weighted =
            losses.iter().enumerate().map(|(i, loss)| f64::from(loss * targets.weight(i)));
        vector([vec![weighted.sum::<f64>() as f32], hits].concat())
    }
}

impl<C: CheckpointStrategy> VocabularyOps for Autodiff<Flex, C> {
    fn vocabulary_loss(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: Targets,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([hidden, table, bias], |[hidden, table, bias]| {
            let layer = KnownLayer { hidden, table, bias, precision };
            let width = layer.width();
            let (loss, hits, found) =
                layer.with(|layer| vocabulary::loss_and_gradients(layer, &targets));
            (vector([vec![loss], hits].concat()), VocabularyLoss::new(found, width))
        })
    }
}

/// The loss of each row, and 1 where its most probable class is the right one.
fn vocabulary_losses(layer: KnownLayer, labels: &[u32]) -> [Vec<f32>; 3] {
    layer.with(|layer| vocabulary::losses(layer, labels))
}

/// A token drawn for each row.
fn vocabulary_draws(layer: KnownLayer, sampling: &Sampling) -> Vec<u32> {
    layer.with(|layer| vocabulary::sample(layer, sampling))
}

/// The gradients that were computed with a loss, which its scale is applied to.
#[derive(Clone, Debug)]
pub(crate) struct VocabularyLoss([FlexTensor; 3]);

impl VocabularyLoss {
    /// `found` are the gradients of a layer of `width`.
    pub(crate) fn new(found: Gradients, width: usize) -> Self {
        let rows = |values: Vec<f32>| {
            let n = values.len() / width;
            tensor(values, [n, width])
        };
        Self([rows(found.hidden), rows(found.table), vector(found.bias)])
    }
}

impl Rule<3> for VocabularyLoss {
    const READS: [bool; 3] = [false, false, false];

    fn backward(self, _inputs: Tensors<3>, g: FlexTensor, _wanted: [bool; 3]) -> Tensors<3> {
        let scale = values(&g)[0];
        self.0.map(|mut gradient| {
            parts::scale(values_mut(&mut gradient), scale);
            Some(gradient)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, in_pool, leaf, value_and_gradients};

    fn layer(n: usize, width: usize, vocabulary: usize) -> OutputLayer {
        let (hidden, table, bias) =
            (leaf([n, width], 1), leaf([vocabulary, width], 2), leaf([vocabulary], 3));
        OutputLayer { hidden, table, bias, precision: Precision::F32 }
    }

    fn found(loss: &Tensor<1>, layer: &OutputLayer) -> Vec<Vec<f32>> {
        value_and_gradients(loss, &[&layer.bias], &[&layer.hidden, &layer.table])
    }

    fn labels(n: usize, vocabulary: usize) -> Vec<u32> {
        (0..n).map(|i| (i * 7 % vocabulary) as u32).collect()
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for (n, vocabulary, width, weighted) in
            [(1, 2, 1, false), (9, 17, 5, true), (33, 300, 16, false)]
        {
            let layer = layer(n, width, vocabulary);
            let weights = weighted.then(|| (0..n).map(|i| i as f32 * 0.25).collect());
            let z_loss = if weighted { 0.02 } else { 0.0 };
            let targets = Targets { labels: labels(n, vocabulary), weights, z_loss };
            let fused = found(&vocabulary_loss(layer.clone(), targets.clone()), &layer);
            let plain = found(&composed::vocabulary_loss(layer.clone(), &targets), &layer);
            assert_close(&fused, &plain, 2e-6, &format!("{n} x {vocabulary} x {width}"));
        }
    }

    #[test]
    fn hits_of_a_loss_are_those_of_the_scores() {
        let layer = layer(33, 16, 300);
        let best = layer.clone().logits().argmax(1).into_data();
        let labels: Vec<u32> = best
            .iter::<i64>()
            .enumerate()
            .map(|(i, best)| (best as u32 + u32::from(i % 3 == 0)) % 300)
            .collect();
        let want = host(&vocabulary_scores(layer.clone(), &labels).hits);
        assert!(want.contains(&0.0) && want.contains(&1.0));

        let targets = Targets::new(labels);
        let plain = OutputLayer {
            hidden: layer.hidden.clone().inner(),
            table: layer.table.clone().inner(),
            bias: layer.bias.clone().inner(),
            precision: layer.precision,
        };
        for layer in [layer, plain] {
            let [loss, hits] = vocabulary_loss_and_hits(layer.clone(), targets.clone());
            assert_eq!(host(&hits), want);
            assert_eq!(host(&loss), host(&vocabulary_loss(layer, targets.clone())));
        }
    }

    #[test]
    fn bfloat16_is_near_32_bits() {
        let targets = Targets::new(labels(33, 300));
        let of = |precision| {
            let layer = OutputLayer { precision, ..layer(33, 16, 300) };
            found(&vocabulary_loss(layer.clone(), targets.clone()), &layer)
        };
        let (exact, near) = (of(Precision::F32), of(Precision::Bf16));
        // Factors are wrong by up to 2^-9 of themselves.
        assert_close(&near, &exact, 1.0 / 256.0, "bfloat16");
        assert!(near != exact);
    }

    /// A vocabulary so large that the logits of all rows do not fit into one chunk of 2^23.
    #[test]
    fn rows_in_several_chunks_sum_up() {
        let (n, vocabulary) = (40, 1 << 19);
        let layer = layer(n, 2, vocabulary);
        let targets = Targets::new(labels(n, vocabulary));
        let fused = found(&vocabulary_loss(layer.clone(), targets.clone()), &layer);
        let plain = found(&composed::vocabulary_loss(layer.clone(), &targets), &layer);
        assert_close(&fused, &plain, 1e-5, "chunks");
    }

    #[test]
    fn scores_are_losses_and_whether_the_best_token_is_right() {
        let layer = layer(20, 6, 11);
        let labels = labels(20, 11);
        let scores = vocabulary_scores(layer.clone(), &labels);
        let logits = composed::linear(layer.hidden, layer.table.transpose(), layer.bias);
        let best = logits.clone().argmax(1).into_data();
        let want: Vec<f32> = best
            .iter::<i64>()
            .zip(&labels)
            .map(|(best, label)| f32::from(best == i64::from(*label)))
            .collect();
        assert_eq!(host(&scores.hits), want);
        assert!(want.contains(&1.0) && want.contains(&0.0));
        let losses =
            composed::cross_entropy(logits.clone(), composed::ids(&labels, &logits.device()));
        assert_close(&[host(&scores.losses)], &[host(&losses)], 1e-6, "losses");
        let best: Vec<u32> = best.iter::<i64>().map(|best| best as u32).collect();
        let lowest =
            composed::cross_entropy(logits.clone(), composed::ids(&best, &logits.device()));
        assert_close(&[host(&scores.lowest)], &[host(&lowest)], 1e-6, "lowest losses");
    }

    fn sampling(n: usize, temperature: f32, except: Option<Vec<u32>>) -> Sampling {
        let keys = (0..n as u64).map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        Sampling { keys, temperature, except }
    }

    #[test]
    fn tokens_are_drawn_as_often_as_the_softmax_says() {
        let (n, vocabulary) = (20_000, 7);
        let row: Vec<f32> = (0..vocabulary).map(|i| 0.7 * i as f32 - 1.5).collect();
        let bias = Tensor::<1>::from_floats(row.as_slice(), &burn::tensor::Device::flex());
        let (hidden, table) =
            (Tensor::zeros([n, 2], &bias.device()), Tensor::zeros([vocabulary, 2], &bias.device()));
        let layer = OutputLayer { hidden, table, bias, precision: Precision::F32 };
        for temperature in [1.0, 0.5, 3.0] {
            let drawn = vocabulary_sample(layer.clone(), &sampling(n, temperature, None));
            let weights: Vec<f64> = row.iter().map(|x| f64::from(x / temperature).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let difference = |(token, weight): (usize, &f64)| {
                let expected = weight / sum * n as f64;
                let count = drawn.iter().filter(|drawn| **drawn as usize == token).count() as f64;
                (count - expected).powi(2) / expected
            };
            let chi: f64 = weights.iter().enumerate().map(difference).sum();
            // Six degrees of freedom: 22.5 is exceeded once in a thousand.
            assert!(chi < 22.5, "temperature {temperature}: {chi}");
        }
    }

    #[test]
    fn draws_are_those_of_the_composed_operation_and_leave_out_what_is_excepted() {
        let layer = layer(50, 6, 300);
        let free = sampling(50, 1.0, None);
        let drawn = vocabulary_sample(layer.clone(), &free);
        assert_eq!(composed::vocabulary_sample(layer.clone(), &free), drawn);
        let bound = sampling(50, 1.0, Some(drawn.clone()));
        let others = vocabulary_sample(layer.clone(), &bound);
        assert_eq!(composed::vocabulary_sample(layer, &bound), others);
        assert!(drawn.iter().zip(&others).all(|(a, b)| a != b));
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let run = |threads| {
            in_pool(threads, || {
                let layer = layer(77, 24, 1500);
                let targets = Targets::new(labels(77, 1500));
                found(&vocabulary_loss(layer.clone(), targets), &layer)
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
