//! The output layer over a vocabulary with its cross-entropy.

use burn::backend::{Dispatch, Flex};
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::vocabulary::{Sampling, Targets};
use crate::fused::{Fused, runs_fused, vocabulary_draws, vocabulary_losses};

/// `sum_i w_i * -log softmax(h_i T^T + b)[label_i]` in nats, `[1]`, for `hidden: [n, width]`, the token table
/// `[vocabulary, width]` and `bias: [vocabulary]`. On the CPU logits are held for a limited number of rows at a time,
/// so memory does not grow with rows times vocabulary.
///
/// # Panics
/// When there is not one label, and one weight if there are any, for each row.
pub fn vocabulary_loss(hidden: Tensor<2>, table: Tensor<2>, bias: Tensor<1>, targets: Targets) -> Tensor<1> {
    let [n, _] = hidden.dims();
    assert_eq!(targets.labels.len(), n, "a label a row");
    assert!(targets.weights.as_ref().is_none_or(|weights| weights.len() == n), "a weight a row");
    if runs_fused(&hidden) {
        let (table, bias) = (table.into_dispatch(), bias.into_dispatch());
        return Tensor::from_dispatch(Dispatch::vocabulary_loss(hidden.into_dispatch(), table, bias, targets));
    }
    composed::vocabulary_loss(hidden, table, bias, &targets)
}

/// What an evaluation wants to know of each predicted place.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Loss in nats, `[n]`.
    pub losses: Tensor<1>,
    /// 1 where the most probable token is the right one, else 0, `[n]`.
    pub hits: Tensor<1>,
}

/// The scores of each row, without gradients. Shapes as in [`vocabulary_loss`].
///
/// # Panics
/// When there is not one label for each row.
pub fn vocabulary_scores(hidden: Tensor<2>, table: Tensor<2>, bias: Tensor<1>, labels: &[u32]) -> Scores {
    let [n, _] = hidden.dims();
    assert_eq!(labels.len(), n, "a label a row");
    let device = hidden.device();
    if !runs_fused(&hidden) {
        let logits = composed::linear(hidden, table.transpose(), bias);
        let labels = composed::ids(labels, &device);
        let hits = logits.clone().argmax(1).squeeze_dim::<1>(1).equal(labels.clone()).float();
        return Scores { losses: composed::cross_entropy(logits, labels), hits };
    }
    let primitive = |x: Tensor<2>| plain(x).try_into_primitive::<Flex>().expect("a tensor of the CPU backend");
    let bias = plain(bias).try_into_primitive::<Flex>().expect("a tensor of the CPU backend");
    let (losses, hits) = vocabulary_losses(primitive(hidden), primitive(table), bias, labels);
    let upload = |values: Vec<f32>| Tensor::from_data(values.as_slice(), &device);
    Scores { losses: upload(losses), hits: upload(hits) }
}

/// A token for each row, drawn from the softmax of its logits: the largest of logits over temperature and Gumbel noise
/// (Gumbel 1954), which is counted from the row's key, so that a key draws the same on every backend but for rounding.
/// Shapes as in [`vocabulary_loss`]. Reads the result back from the device.
///
/// # Panics
/// When there is not one key for each row.
pub fn vocabulary_sample(hidden: Tensor<2>, table: Tensor<2>, bias: Tensor<1>, sampling: &Sampling) -> Vec<u32> {
    let [n, _] = hidden.dims();
    assert_eq!(sampling.keys.len(), n, "a key a row");
    if !runs_fused(&hidden) {
        return composed::vocabulary_sample(hidden, table, bias, sampling);
    }
    let primitive = |x: Tensor<2>| plain(x).try_into_primitive::<Flex>().expect("a tensor of the CPU backend");
    let bias = plain(bias).try_into_primitive::<Flex>().expect("a tensor of the CPU backend");
    vocabulary_draws(primitive(hidden), primitive(table), bias, sampling)
}

/// The tensor without its graph.
pub(crate) fn plain<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if x.device().is_autodiff() { x.inner() } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, in_pool, leaf, value_and_gradients};

    fn labels(n: usize, vocabulary: usize) -> Vec<u32> {
        (0..n).map(|i| (i * 7 % vocabulary) as u32).collect()
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for (n, vocabulary, width, weighted) in [(1, 2, 1, false), (9, 17, 5, true), (33, 300, 16, false)] {
            let (hidden, table, bias) = (leaf([n, width], 1), leaf([vocabulary, width], 2), leaf([vocabulary], 3));
            let weights = weighted.then(|| (0..n).map(|i| i as f32 * 0.25).collect());
            let targets = Targets { labels: labels(n, vocabulary), weights };
            let (h, t, b) = (hidden.clone(), table.clone(), bias.clone());
            let fused = vocabulary_loss(h, t, b, targets.clone());
            let fused = value_and_gradients(&fused, &[&bias], &[&hidden, &table]);
            let (h, t, b) = (hidden.clone(), table.clone(), bias.clone());
            let plain = composed::vocabulary_loss(h, t, b, &targets);
            let plain = value_and_gradients(&plain, &[&bias], &[&hidden, &table]);
            assert_close(&fused, &plain, 2e-6, &format!("{n} x {vocabulary} x {width}"));
        }
    }

    /// A vocabulary so large that the logits of all rows do not fit into one chunk of 2^23.
    #[test]
    fn rows_in_several_chunks_sum_up() {
        let (n, vocabulary, width) = (40, 1 << 19, 2);
        let (hidden, table, bias) = (leaf([n, width], 1), leaf([vocabulary, width], 2), leaf([vocabulary], 3));
        let targets = Targets { labels: labels(n, vocabulary), weights: None };
        let (h, t, b) = (hidden.clone(), table.clone(), bias.clone());
        let fused = value_and_gradients(&vocabulary_loss(h, t, b, targets.clone()), &[&bias], &[&hidden, &table]);
        let (h, t, b) = (hidden.clone(), table.clone(), bias.clone());
        let plain = value_and_gradients(&composed::vocabulary_loss(h, t, b, &targets), &[&bias], &[&hidden, &table]);
        assert_close(&fused, &plain, 1e-5, "chunks");
    }

    #[test]
    fn scores_are_losses_and_whether_the_best_token_is_right() {
        let (hidden, table, bias) = (leaf([20, 6], 1), leaf([11, 6], 2), leaf([11], 3));
        let labels = labels(20, 11);
        let scores = vocabulary_scores(hidden.clone(), table.clone(), bias.clone(), &labels);
        let logits = composed::linear(hidden, table.transpose(), bias);
        let best = logits.clone().argmax(1).into_data();
        let want: Vec<f32> =
            best.iter::<i64>().zip(&labels).map(|(best, label)| f32::from(best == i64::from(*label))).collect();
        assert_eq!(host(&scores.hits), want);
        assert!(want.contains(&1.0) && want.contains(&0.0));
        let losses = composed::cross_entropy(logits.clone(), composed::ids(&labels, &logits.device()));
        assert_close(&[host(&scores.losses)], &[host(&losses)], 1e-6, "losses");
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
        let (hidden, table) = (Tensor::zeros([n, 2], &bias.device()), Tensor::zeros([vocabulary, 2], &bias.device()));
        for temperature in [1.0, 0.5, 3.0] {
            let drawn = vocabulary_sample(hidden.clone(), table.clone(), bias.clone(), &sampling(n, temperature, None));
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
        let (hidden, table, bias) = (leaf([50, 6], 1), leaf([300, 6], 2), leaf([300], 3));
        let free = sampling(50, 1.0, None);
        let drawn = vocabulary_sample(hidden.clone(), table.clone(), bias.clone(), &free);
        assert_eq!(composed::vocabulary_sample(hidden.clone(), table.clone(), bias.clone(), &free), drawn);
        let bound = sampling(50, 1.0, Some(drawn.clone()));
        let others = vocabulary_sample(hidden.clone(), table.clone(), bias.clone(), &bound);
        assert_eq!(composed::vocabulary_sample(hidden, table, bias, &bound), others);
        assert!(drawn.iter().zip(&others).all(|(a, b)| a != b));
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let run = |threads| {
            in_pool(threads, || {
                let (hidden, table, bias) = (leaf([77, 24], 1), leaf([1500, 24], 2), leaf([1500], 3));
                let targets = Targets { labels: labels(77, 1500), weights: None };
                let loss = vocabulary_loss(hidden.clone(), table.clone(), bias.clone(), targets);
                value_and_gradients(&loss, &[&bias], &[&hidden, &table])
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
