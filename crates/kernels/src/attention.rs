//! Scaled dot-product attention with several heads (Vaswani et al. 2017, section 3.2).

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, Tensor};

use crate::composed;
use crate::cpu::attention::{self, Heads};
use crate::cpu::dropout::Mask;
use crate::cpu::scores;
use crate::dropout::weight_factors;
use crate::flex::{dims, ordered, runs_fused, tensor, values, vector};
use crate::rows::Rows;
use crate::rule::{Rule, Tensors, record};
use crate::visibility::Visibility;

/// What an attention layer needs besides queries, keys and values.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Heads; they split the width evenly.
    pub heads: usize,
    /// Query rows. On a backend without the fused operation they are all tokens of the rectangle.
    pub queries: Rows,
    /// Key rows: a query sees those of its own sequence.
    pub keys: Rows,
    /// Which of these a query sees.
    pub visibility: Visibility,
    /// Added to the scores, from [`padding_bias`]; a rectangle with a bias is computed as composed
    /// operations.
    pub bias: Option<Tensor<4>>,
}

impl Attention {
    fn shape(&self, mask: Option<Mask>) -> Heads {
        Heads {
            heads: self.heads,
            queries: self.queries.clone(),
            keys: self.keys.clone(),
            visibility: self.visibility.clone(),
            mask,
        }
    }

    /// The bias of a rectangle with that of what queries do not see.
    fn whole_bias(&self, device: &Device) -> Option<Tensor<4>> {
        if self.visibility.is_everything() {
            return self.bias.clone();
        }
        let (batch, len) = (self.keys.batch(), self.keys.len() / self.keys.batch());
        let hidden = composed::visibility_bias(&self.visibility, batch, len, device);
        Some(match &self.bias {
            Some(bias) => hidden + bias.clone(),
            None => hidden,
        })
    }
}

/// What hides the padding of a rectangle, `[batch, 1, 1, len]`: none where nothing is padded.
pub fn padding_bias(lengths: &[usize], len: usize, device: &Device) -> Option<Tensor<4>> {
    let padded = lengths.iter().any(|length| *length < len);
    padded.then(|| composed::padding_bias(lengths, len, device))
}

/// `softmax(Q K^T / sqrt(d / heads)) V`, per head, for queries `[queries, d]` and packed keys and
/// values `[keys, 2 * d]`; the result is `[queries, d]`. `mask` drops weights and is drawn for the
/// queries.
pub fn attention(
    queries: Tensor<2>,
    packed: Tensor<2>,
    options: Attention,
    mask: Option<Mask>,
) -> Tensor<2> {
    if options.bias.is_none() && runs_fused(&queries) {
        let shape = options.shape(mask);
        return Tensor::from_dispatch(Dispatch::attend(
            queries.into_dispatch(),
            packed.into_dispatch(),
            shape,
        ));
    }
    assert_eq!(options.queries, options.keys, "a rectangle");
    let device = queries.device();
    let bias = options.whole_bias(&device);
    let Attention { heads, keys, .. } = options;
    let batch = keys.batch();
    let factors = mask.map(|mask| weight_factors(&mask, heads, keys.len() / batch, &device));
    composed::attention(queries, packed, heads, batch, bias, factors)
}

/// `Q K^T / sqrt(d / heads)` with the bias, before the softmax, shapes as in [`attention`]:
/// sequence after sequence, in each `[heads, queries, keys]`, flat. A rectangle has scores of
/// padding too.
pub fn attention_scores(queries: Tensor<2>, packed: Tensor<2>, options: &Attention) -> Tensor<1> {
    if options.bias.is_none() && runs_fused(&queries) {
        let shape = options.shape(None);
        return Tensor::from_dispatch(Dispatch::attention_scores(
            queries.into_dispatch(),
            packed.into_dispatch(),
            shape,
        ));
    }
    let bias = options.whole_bias(&queries.device());
    let (heads, batch) = (options.heads, options.keys.batch());
    composed::attention_scores(queries, packed, heads, batch, bias).flatten(0, 3)
}

/// Attention of queries `[queries, d]` to packed keys and values `[keys, 2 * d]`.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait AttentionOps: Backend {
    /// Attention of queries `[queries, d]` to packed keys and values `[keys, 2 * d]`.
    fn attend(
        queries: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        shape: Heads,
    ) -> FloatTensor<Self>;

    /// Scores of attention before their softmax, flat.
    fn attention_scores(
        queries: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        shape: Heads,
    ) -> FloatTensor<Self>;
}

impl AttentionOps for Flex {
    fn attend(queries: FlexTensor, packed: FlexTensor, shape: Heads) -> FlexTensor {
        let (queries, packed) = (ordered(queries), ordered(packed));
        let [rows, d] = dims(&queries);
        tensor(attention::forward(values(&queries), values(&packed), d, &shape).0, [rows, d])
    }

    fn attention_scores(queries: FlexTensor, packed: FlexTensor, shape: Heads) -> FlexTensor {
        let (queries, packed) = (ordered(queries), ordered(packed));
        let [_, d] = dims(&queries);
        vector(scores::forward(values(&queries), values(&packed), d, &shape))
    }
}

impl<C: CheckpointStrategy> AttentionOps for Autodiff<Flex, C> {
    fn attend(
        queries: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        shape: Heads,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([queries, packed], |[queries, packed]| {
            let (queries, packed) = (ordered(queries), ordered(packed));
            let [rows, d] = dims(&queries);
            let (out, logs) = attention::forward(values(&queries), values(&packed), d, &shape);
            (tensor(out, [rows, d]), Attend { logs: vector(logs), shape })
        })
    }

    fn attention_scores(
        queries: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        shape: Heads,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([queries, packed], |[queries, packed]| {
            (Flex::attention_scores(queries, packed, shape.clone()), AttentionScores(shape))
        })
    }
}

#[derive(Clone, Debug)]
struct Attend {
    logs: FlexTensor,
    shape: Heads,
}

impl Rule<2> for Attend {
    const READS: [bool; 2] = [true, true];

    fn backward(self, inputs: Tensors<2>, g: FlexTensor, _wanted: [bool; 2]) -> Tensors<2> {
        let [queries, packed] = inputs.map(|input| input.expect("read"));
        let ([n_queries, d], [n_keys, _]) = (dims(&queries), dims(&packed));
        let (queries, packed) = (values(&queries), values(&packed));
        let (dq, dkv) =
            attention::backward(queries, packed, values(&self.logs), values(&g), d, &self.shape);
        [Some(tensor(dq, [n_queries, d])), Some(tensor(dkv, [n_keys, 2 * d]))]
    }
}

#[derive(Clone, Debug)]
struct AttentionScores(Heads);

impl Rule<2> for AttentionScores {
    const READS: [bool; 2] = [true, true];

    fn backward(self, inputs: Tensors<2>, g: FlexTensor, _wanted: [bool; 2]) -> Tensors<2> {
        let [queries, packed] = inputs.map(|input| input.expect("read"));
        let ([n_queries, d], [n_keys, _]) = (dims(&queries), dims(&packed));
        let (dq, dkv) = scores::backward(values(&queries), values(&packed), values(&g), d, &self.0);
        [Some(tensor(dq, [n_queries, d])), Some(tensor(dkv, [n_keys, 2 * d]))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;
    use crate::testing::{assert_close, host, in_pool, leaf, value_and_gradients};
    use burn::tensor::TensorData;

    fn matrix(values: &[f32], width: usize) -> Tensor<2> {
        Tensor::from_data(
            TensorData::new(values.to_vec(), [values.len() / width, width]),
            &Device::flex(),
        )
    }

    fn whole(heads: usize, lengths: &[usize]) -> Attention {
        let rows = Rows::of_lengths(lengths);
        Attention {
            heads,
            queries: rows.clone(),
            keys: rows,
            visibility: Visibility::default(),
            bias: None,
        }
    }

    #[test]
    fn equal_scores_average_the_values_of_the_sequence() {
        // Zero queries: every key weighs the same. Sequences of two and one tokens, two heads of
        // width 1.
        let packed =
            matrix(&[5.0, -1.0, 1.0, 10.0, 3.0, 2.0, 3.0, 30.0, 9.0, 9.0, 500.0, 700.0], 4);
        let out = attention(matrix(&[0.0; 6], 2), packed, whole(2, &[2, 1]), None);
        assert_eq!(host(&out), [2.0, 20.0, 2.0, 20.0, 500.0, 700.0]);
    }

    /// Heads, width of a head, longest sequence, tokens of each sequence.
    const SHAPES: [(usize, usize, usize, &[usize]); 6] = [
        (1, 1, 1, &[1]),
        (1, 8, 5, &[5]),
        (3, 5, 7, &[7, 4]),
        (2, 16, 9, &[1, 9, 3]),
        (2, 17, 33, &[33, 20]),
        (1, 64, 70, &[70]),
    ];

    /// The numbers of the real rows in a rectangle of sequences of `len`.
    fn real(lengths: &[usize], len: usize) -> Vec<u32> {
        lengths
            .iter()
            .enumerate()
            .flat_map(|(b, n)| (0..*n).map(move |i| (b * len + i) as u32))
            .collect()
    }

    fn both(rate: f64, seed: u32) {
        for (heads, width, len, lengths) in SHAPES {
            let (d, batch) = (heads * width, lengths.len());
            let (q, kv) = (leaf([batch * len, d], seed), leaf([batch * len, 2 * d], seed + 50));
            let device = q.device();
            let noise = || Noise::new((0..batch as u64).collect());
            let ids = composed::ids(&real(lengths, len), &device);
            let rows = Rows::of_lengths(lengths);
            let mask = Mask::draw(Some(&mut noise()), rate, &rows);
            let (some_q, some_kv) =
                (q.clone().select(0, ids.clone()), kv.clone().select(0, ids.clone()));

            let fused = attention(some_q, some_kv, whole(heads, lengths), mask);
            let fused = value_and_gradients(&fused, &[], &[&q, &kv]);

            let rectangle = Rows::of_lengths(&vec![len; batch]);
            let factors = Mask::draw(Some(&mut noise()), rate, &rectangle)
                .map(|mask| weight_factors(&mask, heads, len, &device));
            let bias = Some(composed::padding_bias(lengths, len, &device));
            let plain = composed::attention(q.clone(), kv.clone(), heads, batch, bias, factors)
                .select(0, ids);
            let plain = value_and_gradients(&plain, &[], &[&q, &kv]);
            assert_close(
                &fused,
                &plain,
                5e-6,
                &format!("{lengths:?} of {len}, {heads} heads of {width}"),
            );
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        (0..5).for_each(|seed| both(0.0, seed));
    }

    #[test]
    fn the_same_weights_are_dropped_as_in_the_composed_operation() {
        (0..5).for_each(|seed| both(0.3, seed));
    }

    /// Windows and pasts for up to three sequences.
    fn visibilities() -> Vec<Visibility> {
        let causal =
            |causal: &[bool]| Visibility { causal: causal.into(), ..Visibility::default() };
        let window = |window| Visibility { window: Some(window), ..Visibility::default() };
        let both = Visibility { causal: [true, false, true].into(), ..window(3) };
        let documents = |documents: &[&[u32]]| Visibility {
            documents: documents.iter().map(|starts| starts.to_vec()).collect(),
            ..Visibility::default()
        };
        let apart = documents(&[&[2], &[], &[3, 4]]);
        let near = Visibility { documents: apart.documents.clone(), ..both.clone() };
        let [past, mixed] = [causal(&[true; 3]), causal(&[false, true])];
        let far = documents(&[&[1, 63, 64, 140], &[69]]);
        vec![window(0), window(2), window(40), past, mixed, both, apart, near, far]
    }

    #[test]
    fn queries_that_see_some_keys_are_those_of_the_composed_operation() {
        for visibility in visibilities() {
            // Longer than one block of queries.
            for lengths in [&[5, 1, 9][..], &[150, 70]] {
                let (heads, d, batch) = (2, 12, lengths.len());
                let len = *lengths.iter().max().expect("one");
                let (q, kv) = (leaf([batch * len, d], 1), leaf([batch * len, 2 * d], 2));
                let (device, ids) = (q.device(), real(lengths, len));
                let ids = composed::ids(&ids, &device);
                let noise = || Noise::new((0..batch as u64).collect());

                let options = Attention { visibility: visibility.clone(), ..whole(heads, lengths) };
                let mask = Mask::draw(Some(&mut noise()), 0.3, &options.queries);
                let (some_q, some_kv) =
                    (q.clone().select(0, ids.clone()), kv.clone().select(0, ids.clone()));
                let fused = attention(some_q, some_kv, options, mask);
                let fused = value_and_gradients(&fused, &[], &[&q, &kv]);

                let rectangle = Rows::of_lengths(&vec![len; batch]);
                let factors = Mask::draw(Some(&mut noise()), 0.3, &rectangle)
                    .map(|mask| weight_factors(&mask, heads, len, &device));
                let bias = composed::padding_bias(lengths, len, &device)
                    + composed::visibility_bias(&visibility, batch, len, &device);
                let plain =
                    composed::attention(q.clone(), kv.clone(), heads, batch, Some(bias), factors);
                let plain = value_and_gradients(&plain.select(0, ids), &[], &[&q, &kv]);
                assert_close(&fused, &plain, 5e-6, &format!("{visibility:?}, {lengths:?}"));
            }
        }
    }

    #[test]
    fn the_last_token_changes_nothing_before_it_where_queries_see_the_past() {
        let (heads, d) = (2, 12);
        let causal = Visibility { causal: [true].into(), ..Visibility::default() };
        let out = |n: usize| {
            let (q, kv) = (leaf([9, d], 1), leaf([9, 2 * d], 2));
            let options = Attention { visibility: causal.clone(), ..whole(heads, &[n]) };
            host(&attention(q.slice([0..n, 0..d]), kv.slice([0..n, 0..2 * d]), options, None))
        };
        assert_close(&[out(8)], &[out(9)[..8 * d].to_vec()], 1e-6, "the past");
    }

    #[test]
    fn some_queries_see_what_they_see_among_all() {
        let (heads, d, lengths) = (2, 12, [9, 4, 6]);
        let (q, kv) = (leaf([19, d], 1), leaf([19, 2 * d], 2));
        let asking = Rows::of(vec![vec![1, 8], vec![], vec![0]]);
        let chosen = composed::ids(&[1, 8, 13], &q.device());
        let noise = || Noise::new(vec![4, 5, 6]);
        let all = Rows::of_lengths(&lengths);
        let mask = Mask::draw(Some(&mut noise()), 0.3, &all);
        let full = attention(q.clone(), kv.clone(), whole(heads, &lengths), mask)
            .select(0, chosen.clone());
        let options = Attention { queries: asking.clone(), ..whole(heads, &lengths) };
        let mask = Mask::draw(Some(&mut noise()), 0.3, &asking);
        let some = attention(q.clone().select(0, chosen), kv.clone(), options, mask);
        let (some, full) = (
            value_and_gradients(&some, &[], &[&q, &kv]),
            value_and_gradients(&full, &[], &[&q, &kv]),
        );
        assert_close(&some, &full, 2e-6, "three of nineteen");
    }

    #[test]
    fn scores_are_products_of_queries_and_keys_over_the_root_of_the_width() {
        // One head of width 4: (1, 1, 1, 1) . (2, 4, 6, 8) / 2 = 10.
        let packed = matrix(&[2.0, 4.0, 6.0, 8.0, 0.0, 0.0, 0.0, 0.0], 8);
        let scores = attention_scores(matrix(&[1.0; 4], 4), packed, &whole(1, &[1]));
        assert_eq!(host(&scores), [10.0]);
    }

    #[test]
    fn scores_and_their_gradients_are_those_of_the_composed_operation() {
        for (heads, width, len, lengths) in SHAPES {
            let (d, batch) = (heads * width, lengths.len());
            let (q, kv) = (leaf([batch * len, d], 1), leaf([batch * len, 2 * d], 51));
            let ids = composed::ids(&real(lengths, len), &q.device());
            let (some_q, some_kv) = (q.clone().select(0, ids.clone()), kv.clone().select(0, ids));
            let fused = attention_scores(some_q, some_kv, &whole(heads, lengths));
            let square = composed::attention_scores(q.clone(), kv.clone(), heads, batch, None);
            let parts = lengths.iter().enumerate().map(|(b, n)| {
                square.clone().slice([b..b + 1, 0..heads, 0..*n, 0..*n]).reshape([heads * n * n])
            });
            let plain = value_and_gradients(&Tensor::cat(parts.collect(), 0), &[], &[&q, &kv]);
            let fused = value_and_gradients(&fused, &[], &[&q, &kv]);
            assert_close(
                &fused,
                &plain,
                5e-6,
                &format!("{lengths:?} of {len}, {heads} heads of {width}"),
            );
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let lengths = [31, 7, 20, 31, 1, 30];
        let run = |threads| {
            in_pool(threads, || {
                let (q, kv) = (leaf([120, 24], 5), leaf([120, 48], 6));
                let mask = Mask::draw(
                    Some(&mut Noise::new((0..6).collect())),
                    0.1,
                    &Rows::of_lengths(&lengths),
                );
                let out = attention(q.clone(), kv.clone(), whole(3, &lengths), mask);
                let scores = attention_scores(q.clone(), kv.clone(), &whole(3, &lengths));
                [
                    value_and_gradients(&out, &[], &[&q, &kv]),
                    value_and_gradients(&scores, &[], &[&q, &kv]),
                ]
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
