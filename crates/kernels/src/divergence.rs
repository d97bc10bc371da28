//! The distance between two output layers over the same vocabulary: a student's and its teacher's.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::divergence::{Measure, distance_and_gradients};
use crate::cpu::vocabulary::Gradients;
use crate::flex::{runs_fused, vector};
use crate::output::{KnownLayer, OutputLayer, plain};
use crate::precision::Precision;
use crate::rule::record;
use crate::vocabulary::VocabularyLoss;

/// The sum of `measure` over rows, `[1]`, between the logits of a layer that learns and those of
/// one that is `known`, to which no gradient goes. The layers may be of different width. On the CPU
/// logits are held for a limited number of rows at a time, so memory does not grow with rows times
/// vocabulary.
///
/// # Panics
/// When they differ in rows or vocabulary.
pub fn vocabulary_distance(
    learning: OutputLayer,
    known: OutputLayer,
    measure: Measure,
) -> Tensor<1> {
    assert_eq!(learning.hidden.dims()[0], known.hidden.dims()[0], "as many rows");
    assert_eq!(learning.bias.dims(), known.bias.dims(), "one vocabulary");
    if runs_fused(&learning.hidden) {
        let known = known.without_graph();
        let OutputLayer { hidden, table, bias, precision } = learning;
        let (hidden, table, bias) =
            (hidden.into_dispatch(), table.into_dispatch(), bias.into_dispatch());
        return Tensor::from_dispatch(Dispatch::vocabulary_distance(
            hidden, table, bias, known, measure, precision,
        ));
    }
    let device = learning.hidden.device();
    let known = plain(composed::logits(known));
    let known = if device.is_autodiff() { known.autodiff() } else { known };
    composed::distance(composed::logits(learning), known, measure)
}

/// The distance between two output layers.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait DivergenceOps: Backend {
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

impl DivergenceOps for Flex {
    fn vocabulary_distance(
        hidden: FlexTensor,
        table: FlexTensor,
        bias: FlexTensor,
        known: KnownLayer,
        measure: Measure,
        precision: Precision,
    ) -> FlexTensor {
        let learning = KnownLayer { hidden, table, bias, precision };
        vector(vec![distance(learning, known, measure).0])
    }
}

impl<C: CheckpointStrategy> DivergenceOps for Autodiff<Flex, C> {
    fn vocabulary_distance(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        known: KnownLayer,
        measure: Measure,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([hidden, table, bias], |[hidden, table, bias]| {
            let learning = KnownLayer { hidden, table, bias, precision };
            let width = learning.width();
            let (sum, found) = distance(learning, known, measure);
            (vector(vec![sum]), VocabularyLoss::new(found, width))
        })
    }
}

fn distance(learning: KnownLayer, known: KnownLayer, measure: Measure) -> (f32, Gradients) {
    learning.with(|learning| known.with(|known| distance_and_gradients(learning, known, measure)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, in_pool, leaf, scaled_leaf, value_and_gradients};

    const MEASURES: [Measure; 3] = [
        Measure::Divergence { temperature: 1.0 },
        Measure::Divergence { temperature: 2.5 },
        Measure::Squares,
    ];

    fn layer(n: usize, width: usize, vocabulary: usize, seed: u32) -> OutputLayer {
        let (hidden, table) =
            (scaled_leaf([n, width], seed, 3.0), leaf([vocabulary, width], seed + 1));
        OutputLayer { hidden, table, bias: leaf([vocabulary], seed + 2), precision: Precision::F32 }
    }

    fn found(distance: &Tensor<1>, layer: &OutputLayer) -> Vec<Vec<f32>> {
        value_and_gradients(distance, &[&layer.bias], &[&layer.hidden, &layer.table])
    }

    #[test]
    fn the_divergence_of_two_classes_is_that_of_the_formula() {
        // p = softmax(ln 3, 0) = (3/4, 1/4), q = (1/2, 1/2): KL = 3/4 ln(3/2) + 1/4 ln(1/2).
        let logits = |first: f32| {
            let mut layer = layer(1, 1, 2, 1);
            layer.bias = Tensor::from_floats([first, 0.0], &layer.bias.device());
            layer.hidden = layer.hidden * 0.0;
            layer
        };
        let kl = vocabulary_distance(logits(0.0), logits(3f32.ln()), MEASURES[0]);
        let want = 0.75 * 1.5f32.ln() + 0.25 * 0.5f32.ln();
        assert!((host(&kl)[0] - want).abs() < 1e-6, "{:?}", host(&kl));
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for measure in MEASURES {
            for (n, width, other, vocabulary) in [(1, 1, 2, 2), (9, 5, 8, 17), (33, 16, 7, 300)] {
                let (student, teacher) =
                    (layer(n, width, vocabulary, 1), layer(n, other, vocabulary, 11));
                let fused = found(
                    &vocabulary_distance(student.clone(), teacher.clone(), measure),
                    &student,
                );
                let known = plain(composed::logits(teacher)).autodiff();
                let composed =
                    composed::distance(composed::logits(student.clone()), known, measure);
                assert_close(
                    &fused,
                    &found(&composed, &student),
                    5e-6,
                    &format!("{measure:?}, {n} x {vocabulary}"),
                );
            }
        }
    }

    #[test]
    fn nothing_separates_a_layer_from_itself() {
        for measure in MEASURES {
            let layer = layer(20, 6, 50, 1);
            let found = found(&vocabulary_distance(layer.clone(), layer.clone(), measure), &layer);
            assert_eq!(found[0], [0.0]);
            assert!(found[1..].iter().flatten().all(|x| x.abs() < 1e-6), "{measure:?}");
        }
    }

    /// A vocabulary so large that the logits of all rows do not fit into one chunk.
    #[test]
    fn rows_in_several_chunks_sum_up() {
        let (student, teacher) = (layer(40, 2, 1 << 18, 1), layer(40, 2, 1 << 18, 11));
        let fused =
            found(&vocabulary_distance(student.clone(), teacher.clone(), MEASURES[1]), &student);
        let known = plain(composed::logits(teacher)).autodiff();
        let composed = composed::distance(composed::logits(student.clone()), known, MEASURES[1]);
        assert_close(&fused, &found(&composed, &student), 1e-5, "chunks");
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let run = |threads| {
            in_pool(threads, || {
                let (student, teacher) = (layer(70, 12, 300, 1), layer(70, 9, 300, 11));
                found(&vocabulary_distance(student.clone(), teacher, MEASURES[1]), &student)
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
