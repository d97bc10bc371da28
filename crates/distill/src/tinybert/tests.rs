//! TinyBERT against PyTorch, and against itself.

use burn::tensor::{Device, Tensor};
use kernels::gather;
use objective::trials::Bench;
use objective::{Context, Objective, Purpose};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::{EncoderConfig, Sequences};

use super::config::{Behaviour, Maps, StudentData};
use super::loss::Counted;
use super::{Tinybert, TinybertConfig};
use crate::reference::{Reference, assert_loss, scalar};
use crate::testing::{context, examples, shape, teacher};

/// Tensor number `number` of those that are stacked under `name`, as rows of `width`.
fn part(reference: &Reference, name: &str, number: usize, of: usize, width: usize) -> Tensor<2> {
    let all = reference.matrix(name, width);
    let rows = all.dims()[0] / of;
    all.slice([number * rows..(number + 1) * rows, 0..width])
}

/// The scores of the real tokens of each sequence, as ragged rows have them.
fn ragged(scores: &Tensor<2>, heads: usize, sequences: &Sequences) -> Tensor<1> {
    let Sequences { len, lengths, .. } = sequences;
    let positions = |(b, length): (usize, &usize)| {
        let (b, length, len) = (b, *length, *len);
        let row = move |head: usize, query: usize| ((b * heads + head) * len + query) * len;
        (0..heads)
            .flat_map(move |head| (0..length).map(move |query| row(head, query)))
            .flat_map(move |start| (start..start + length).map(|flat| flat as u32))
            .collect::<Vec<u32>>()
    };
    let positions: Vec<u32> = lengths.iter().enumerate().flat_map(positions).collect();
    let [rows, columns] = scores.dims();
    let n = positions.len();
    gather(scores.clone().reshape([rows * columns, 1]), positions).reshape([n])
}

#[test]
fn losses_are_those_of_pytorch() {
    let reference = Reference::open();
    let sequences = reference.sequences();
    let (heads, width, theirs, len) = (2, 3, 5, sequences.len);
    let mapping: Vec<usize> =
        reference.values("tinybert/mapping").iter().map(|layer| *layer as usize).collect();
    let (weight, bias) = (
        reference.matrix("tinybert/fit_weight", theirs),
        reference.matrix("tinybert/fit_bias", theirs),
    );
    let fit = |x: Tensor<2>| x.matmul(weight.clone()) + bias.clone();
    for (name, behaviour, rectangle) in [
        ("authors", Behaviour::Authors, true),
        ("clean", Behaviour::Clean, true),
        ("clean", Behaviour::Clean, false),
    ] {
        let counted = Counted { sequences: &sequences, rectangle, behaviour };
        let scores = |who: &str, number, of| {
            let square = part(&reference, &format!("tinybert/{who}_scores"), number, of, len);
            if rectangle { square.flatten(0, 1) } else { ragged(&square, heads, &sequences) }
        };
        let attention: f64 = mapping
            .iter()
            .enumerate()
            .map(|(layer, theirs)| {
                scalar(counted.scores(
                    scores("student", layer, 2),
                    scores("teacher", theirs - 1, 4),
                    [heads, heads],
                ))
            })
            .sum();
        let name_of = |what: &str| format!("tinybert/{what}_{name}");
        let attention = attention / counted.pairs() / heads as f64;
        assert_loss(&name_of("attention"), attention, reference.number(&name_of("attention")));
        let state = |who: &str, number, of, width| {
            let state = part(&reference, &format!("tinybert/{who}_states"), number, of, width);
            if rectangle { state } else { gather(state, reference.sequences().real_positions()) }
        };
        let distance = |student: usize, teacher: usize| {
            let student = fit(state("student", student, 3, width));
            scalar(counted.states(student, state("teacher", teacher, 5, theirs)))
                / counted.tokens()
                / theirs as f64
        };
        assert_loss(&name_of("embedding"), distance(0, 0), reference.number(&name_of("embedding")));
        let hidden: f64 =
            mapping.iter().enumerate().map(|(layer, theirs)| distance(layer + 1, *theirs)).sum();
        assert_loss(&name_of("hidden"), hidden, reference.number(&name_of("hidden")));
    }
    let counted = Counted { sequences: &sequences, rectangle: true, behaviour: Behaviour::Clean };
    let one: f64 = mapping
        .iter()
        .enumerate()
        .map(|(layer, theirs)| {
            let student =
                part(&reference, "tinybert/student_scores_one_head", layer, 2, len).flatten(0, 1);
            let teacher =
                part(&reference, "tinybert/teacher_scores", theirs - 1, 4, len).flatten(0, 1);
            scalar(counted.scores(student, teacher, [1, heads]))
        })
        .sum();
    assert_loss("one head", one / counted.pairs(), reference.number("tinybert/attention_one_head"));
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
    let sums = |rectangle: bool| -> Vec<f64> {
        let sequences = &batch.sequences;
        let input =
            if rectangle { sequences.padded_input(&device) } else { sequences.input(&device) };
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
    for (ragged, rectangle) in sums(false).into_iter().zip(sums(true)) {
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
    let weights = objective.target_counts(&batch);
    let len = batch.sequences.len;
    assert_eq!(
        weights,
        [2 * 4 * len * len, 4 * len * 16, 4 * len * 16].map(|weight| weight as f64)
    );
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
