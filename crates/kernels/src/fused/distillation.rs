//! The operations of [`crate::cpu`] that compare a student with its teacher, as an extension of
//! burn's CPU backend.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::rules::VocabularyLoss;
use super::{KnownLayer, vector};
use crate::cpu::attention::Heads;
use crate::cpu::divergence::{Measure, distance_and_gradients};
use crate::cpu::scores;
use crate::cpu::vocabulary::{Gradients, Layer};
use crate::flex::{dims, ordered, tensor, values};
use crate::precision::Precision;
use crate::rule::{Rule, record};

/// What a student is compared by.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait Distillation: Backend {
    /// Scores of attention before their softmax, flat.
    fn attention_scores(
        queries: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        shape: Heads,
    ) -> FloatTensor<Self>;
    /// The sum over rows of the distance between the logits of two output layers, `[1]`.
    fn vocabulary_distance(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        known: KnownLayer,
        measure: Measure,
        precision: Precision,
    ) -> FloatTensor<Self>;
}

fn distance(
    inputs: [&FlexTensor; 3],
    known: KnownLayer,
    measure: Measure,
    precision: Precision,
) -> (f32, Gradients) {
    let [_, width] = dims(inputs[1]);
    let [hidden, table, bias] = inputs.map(values);
    known.with(|known| {
        distance_and_gradients(Layer { hidden, table, bias, width, precision }, known, measure)
    })
}

impl Distillation for Flex {
    fn attention_scores(queries: FlexTensor, packed: FlexTensor, shape: Heads) -> FlexTensor {
        let (queries, packed) = (ordered(queries), ordered(packed));
        let [_, d] = dims(&queries);
        vector(scores::forward(values(&queries), values(&packed), d, &shape))
    }

    fn vocabulary_distance(
        hidden: FlexTensor,
        table: FlexTensor,
        bias: FlexTensor,
        known: KnownLayer,
        measure: Measure,
        precision: Precision,
    ) -> FlexTensor {
        let [hidden, table, bias] = [hidden, table, bias].map(ordered);
        vector(vec![distance([&hidden, &table, &bias], known, measure, precision).0])
    }
}

impl<C: CheckpointStrategy> Distillation for Autodiff<Flex, C> {
    fn attention_scores(
        queries: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        shape: Heads,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([queries, packed], |[queries, packed]| {
            (Flex::attention_scores(queries, packed, shape.clone()), AttentionScores(shape))
        })
    }

    fn vocabulary_distance(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        known: KnownLayer,
        measure: Measure,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([hidden, table, bias], |inputs| {
            let [hidden, table, bias] = inputs.map(ordered);
            let (sum, found) = distance([&hidden, &table, &bias], known, measure, precision);
            let gradients = [
                tensor(found.hidden, dims::<2>(&hidden)),
                tensor(found.table, dims::<2>(&table)),
                vector(found.bias),
            ];
            (vector(vec![sum]), VocabularyLoss(gradients))
        })
    }
}

#[derive(Clone, Debug)]
struct AttentionScores(Heads);

impl Rule<2> for AttentionScores {
    const READS: [bool; 2] = [true, true];

    fn backward(
        self,
        inputs: [Option<FlexTensor>; 2],
        g: FlexTensor,
        _wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let [queries, packed] = inputs.map(|input| ordered(input.expect("read")));
        let g = ordered(g);
        let ([asked, d], [seen, _]) = (dims(&queries), dims(&packed));
        let (dq, dkv) = scores::backward(values(&queries), values(&packed), values(&g), d, &self.0);
        [Some(tensor(dq, [asked, d])), Some(tensor(dkv, [seen, 2 * d]))]
    }
}
