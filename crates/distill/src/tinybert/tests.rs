//! TinyBERT against PyTorch, and against itself.

use burn::tensor::{Device, Tensor};
use kernels::gather;
use objective::trials::Bench;
use objective::{Context, Objective, Purpose};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::{EncoderConfig, EncoderInput, Sequences};

use super::config::{Behaviour, Maps, StudentData};
use super::loss::Counted;
use super::{Tinybert, TinybertConfig};
use crate::reference::{Reference, assert_loss, scalar};
use crate::testing::{context, examples, shape, teacher};

/// Tensor `number` of the `of` tensors that are stacked under `name`, as rows of `width`.
fn part(reference: &Reference, name: &str, number: usize, of: usize, width: usize) -> Tensor<2> {
    let all = reference.matrix(name, width);
    let rows = all.dims()[0] / of;
    all.slice([number * rows..(number + 1) * rows, 0..width])
}

/// The scores of the real tokens of each sequence, as ragged rows have them.
fn ragged(scores: &Tensor<2>, heads: usize, sequences: &Sequences) -> Tensor<1> {
    let Sequences { len, lengths, .. } = sequences;
    let mut positions: Vec<u32> = Vec::new();
    for (sequence, length) in lengths.iter().enumerate() {
        for head in 0..heads {
            for query in 0..*length {
                let start = ((sequence * heads + head) * len + query) * len;
                positions.extend((start..start + length).map(|flat| flat as u32));
            }
        }
    }

    let [rows, columns] = scores.dims();
    let n = positions.len();
    gather(scores.clone().reshape([rows * columns, 1]), positions).reshape([n])
}

/// Numbers of hidden states in the reference: the embeddings and what each layer gives.
const STUDENT_STATES: usize = 3;
const TEACHER_STATES: usize = 5;
/// Numbers of layers in the reference.
const STUDENT_LAYERS: usize = 2;
const TEACHER_LAYERS: usize = 4;
const HEADS: usize = 2;
const STUDENT_WIDTH: usize = 3;
const TEACHER_WIDTH: usize = 5;

/// The teacher's layer that each of the student's learns in the reference.
fn mapping(reference: &Reference) -> Vec<usize> {
    reference.values("tinybert/mapping").iter().map(|layer| *layer as usize).collect()
}

/// The mean losses of the reference's tensors, computed as an objective does.
struct Losses<'a> {
    reference: &'a Reference,
    counted: Counted<'a>,
}

impl Losses<'_> {
    fn attention(&self) -> f64 {
        let layers = mapping(self.reference).into_iter().enumerate();
        let sums = layers.map(|(layer, theirs)| {
            let student = self.scores("student", layer, STUDENT_LAYERS);
            let teacher = self.scores("teacher", theirs - 1, TEACHER_LAYERS);
            scalar(self.counted.scores(student, teacher, [HEADS, HEADS]))
        });
        sums.sum::<f64>() / self.counted.pairs() / HEADS as f64
    }

    fn embedding(&self) -> f64 {
        self.distance(0, 0)
    }

    fn hidden(&self) -> f64 {
        let layers = mapping(self.reference).into_iter().enumerate();
        layers.map(|(layer, theirs)| self.distance(layer + 1, theirs)).sum()
    }

    /// Between a state of the student, mapped to the teacher's width, and one of the teacher.
    fn distance(&self, student: usize, teacher: usize) -> f64 {
        let weight = self.reference.matrix("tinybert/fit_weight", TEACHER_WIDTH);
        let bias = self.reference.matrix("tinybert/fit_bias", TEACHER_WIDTH);
        let student = self.state("student", student, STUDENT_STATES, STUDENT_WIDTH);
        let teacher = self.state("teacher", teacher, TEACHER_STATES, TEACHER_WIDTH);

        let sum = self.counted.states(student.matmul(weight) + bias, teacher);
        scalar(sum) / self.counted.tokens() / TEACHER_WIDTH as f64
    }

    fn scores(&self, who: &str, number: usize, of: usize) -> Tensor<1> {
        let Counted { sequences, rectangle, .. } = self.counted;
        let name = format!("tinybert/{who}_scores");
        let square = part(self.reference, &name, number, of, sequences.len);
        if rectangle { square.flatten(0, 1) } else { ragged(&square, HEADS, sequences) }
    }

    fn state(&self, who: &str, number: usize, of: usize, width: usize) -> Tensor<2> {
        let Counted { sequences, rectangle, .. } = self.counted;
        let name = format!("tinybert/{who}_states");
        let state = part(self.reference, &name, number, of, width);
        if rectangle { state } else { gather(state, sequences.real_positions()) }
    }
}

#[test]
fn losses_are_those_of_pytorch() {
    let reference = Reference::open();
    let sequences = reference.sequences();

    for (name, behaviour, rectangle) in [
        ("authors", Behaviour::Authors, true),
        ("clean", Behaviour::Clean, true),
        ("clean", Behaviour::Clean, false),
    ] {
        let counted = Counted { sequences: &sequences, rectangle, behaviour };
        let losses = Losses { reference: &reference, counted };

        for (term, loss) in [
            ("attention", losses.attention()),
            ("embedding", losses.embedding()),
            ("hidden", losses.hidden()),
        ] {
            let name = format!("tinybert/{term}_{name}");
            assert_loss(&name, loss, reference.number(&name));
        }
    }
}

#[test]
fn a_student_with_one_head_learns_the_mean_of_the_teachers_heads() {
    let reference = Reference::open();
    let sequences = reference.sequences();
    let counted = Counted { sequences: &sequences, rectangle: true, behaviour: Behaviour::Clean };
    let scores = |name: &str, number, of| {
        part(&reference, &format!("tinybert/{name}"), number, of, sequences.len).flatten(0, 1)
    };

    let layers = mapping(&reference).into_iter().enumerate();
    let sums = layers.map(|(layer, theirs)| {
        let student = scores("student_scores_one_head", layer, STUDENT_LAYERS);
        let teacher = scores("teacher_scores", theirs - 1, TEACHER_LAYERS);
        scalar(counted.scores(student, teacher, [1, HEADS]))
    });
    let loss = sums.sum::<f64>() / counted.pairs();
    assert_loss("one head", loss, reference.number("tinybert/attention_one_head"));
}

fn student() -> EncoderConfig {
    EncoderConfig { layers: 2, hidden: 12, ..shape() }
}

fn objective(config: TinybertConfig, encoder: &EncoderConfig) -> Tinybert {
    Tinybert::new(config, &context(encoder.clone(), Some(teacher(&shape())))).expect("fits")
}

fn keeps_the_contract(config: TinybertConfig, encoder: EncoderConfig) {
    let objective = objective(config, &encoder);
    Bench { objective: &objective, encoder, examples: examples(), device: Device::flex() }.run();
}

#[test]
fn the_contract_is_kept_on_text_on_tasks_and_with_fewer_heads() {
    let usual = TinybertConfig::default();
    keeps_the_contract(usual.clone(), student());
    keeps_the_contract(
        TinybertConfig { source: StudentData::Task, maps: Maps::One, ..usual.clone() },
        student(),
    );
    keeps_the_contract(usual.clone(), EncoderConfig { heads: 1, ..student() });
    keeps_the_contract(TinybertConfig { hidden: 0.0, attention: 0.0, ..usual.clone() }, student());
    // Weights as small as usual give scores near zero.
    let loud = EncoderConfig { initializer_range: 0.3, ..student() };
    keeps_the_contract(TinybertConfig { hidden: 0.0, embedding: 0.0, ..usual }, loud);
}

#[test]
fn a_rectangle_with_padding_gives_the_same_losses_as_ragged_rows() {
    let objective = objective(TinybertConfig::default(), &student());
    let batch = objective.collate(&examples(), Purpose::Evaluation);
    let device = Device::flex();
    let model = objective.init(&student(), &mut ChaCha8Rng::seed_from_u64(1), &device);
    let sequences = &batch.sequences;

    let sums = |input: EncoderInput, rectangle: bool| -> Vec<f64> {
        let trace = model.encoder.trace(&input, None);
        let counted = Counted { sequences, rectangle, behaviour: Behaviour::Clean };
        let zeros = |n: usize| Tensor::<1>::zeros([n], &device);

        let scores = trace.scores.into_iter().map(|scores| {
            let n = scores.dims()[0];
            scalar(counted.scores(scores, zeros(n), [2, 2]))
        });
        let states = trace.states.into_iter().map(|states| {
            let [rows, width] = states.dims();
            scalar(counted.states(states, zeros(rows * width).reshape([rows, width])))
        });
        scores.chain(states).collect()
    };
    let ragged = sums(sequences.input(&device), false);
    let rectangles = sums(sequences.padded_input(&device), true);
    for (ragged, rectangle) in ragged.into_iter().zip(rectangles) {
        assert!((ragged - rectangle).abs() < 1e-4 * ragged, "{ragged} is not {rectangle}");
    }
}

#[test]
fn the_authors_mask_a_token_of_each_passage_and_count_padding() {
    let objective = objective(
        TinybertConfig { behaviour: Behaviour::Authors, ..TinybertConfig::default() },
        &student(),
    );
    let batch = objective.collate(&examples(), Purpose::Training);
    assert_eq!(batch.labels.len(), 4);

    let len = batch.sequences.len;
    let want = [2 * 4 * len * len, 4 * len * 16, 4 * len * 16].map(|count| count as f64);
    assert_eq!(objective.target_counts(&batch), want);
}

#[test]
fn without_a_teacher_there_is_nothing_to_learn() {
    let context = Context {
        teacher: None,
        ..objective(TinybertConfig::default(), &student()).context().clone()
    };
    let error =
        Tinybert::new(TinybertConfig::default(), &context).expect_err("refused").to_string();
    assert!(error.contains("needs its teacher"), "{error}");
}
