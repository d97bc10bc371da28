//! Simple networks, by hand and by the trials of the contract that fit them.

use burn::module::Module;
use burn::tensor::Device;
use corpus::Passage;
use finetune::{Comparison, DistillationConfig, OverClasses, TaskKind};
use objective::{Example, Label, Objective, Purpose};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::{EncoderConfig, Noise};

use super::{Network, Reads, Simple, SimpleConfig, SimpleModel};
use crate::reference::{Reference, assert_loss, scalar};
use crate::testing::context;

const NETWORKS: [Network; 3] = [Network::Bilstm, Network::Textcnn, Network::Bag];

fn objective(network: Network, reads: Reads, share: f64) -> Simple {
    let config = SimpleConfig {
        labels: ["no", "yes"].map(str::to_owned).to_vec(),
        distillation: DistillationConfig {
            share,
            comparison: Comparison::Squares,
            ..DistillationConfig::default()
        },
        network,
        reads,
        embedding: 10,
        width: 6,
        inner: 8,
        ..SimpleConfig::default()
    };

    let encoder = EncoderConfig { vocabulary: 40, ..EncoderConfig::default() };
    Simple::new(config, &context(encoder, None)).expect("fits")
}

fn model(objective: &Simple) -> SimpleModel {
    let encoder = EncoderConfig { vocabulary: 40, ..EncoderConfig::default() };
    objective.init(&encoder, &mut ChaCha8Rng::seed_from_u64(1), &Device::flex().autodiff())
}

fn examples() -> Vec<Example> {
    let example = |number: u32| {
        let words = (0..2 + 3 * number).map(|i| 5 + (i * 7 + number) % 35);
        let first: Vec<u32> = std::iter::once(2).chain(words).chain([3]).collect();
        let tokens = [first.clone(), vec![20 + number, 3]].concat();
        let passage = Passage::of_words(u64::from(number), tokens, vec![0, first.len() as u32]);
        let (label, teacher_logits) =
            (Some(Label::Class(number % 2)), Some(vec![1.0 - number as f32, 0.5 * number as f32]));
        Example {
            passage,
            seed: 1,
            epoch: 0,
            partner: None,
            label,
            teacher_logits,
            progress: 1.0,
            token_weights: None,
            piece: 0,
        }
    };
    (0..4).map(example).collect()
}

#[test]
fn a_row_has_the_same_outputs_alone_and_beside_longer_ones() {
    for network in NETWORKS {
        for reads in [Reads::One, Reads::Two] {
            let objective = objective(network, reads, 1.0);
            let model = model(&objective).valid();
            let outputs = |examples: &[Example]| {
                let batch = objective.collate(examples, Purpose::Evaluation);
                objective.forward(&model, &batch, None, &Device::flex()).outputs
            };

            let together = outputs(&examples());
            for (example, beside) in examples().iter().zip(together) {
                let alone = &outputs(std::slice::from_ref(example))[0];
                assert!(
                    alone.iter().zip(&beside).all(|(a, b)| (a - b).abs() < 1e-5),
                    "{network:?} {reads:?}"
                );
            }
        }
    }
}

#[test]
fn every_parameter_has_a_gradient_and_a_batch_is_learnt_by_heart() {
    for network in NETWORKS {
        for share in [0.0, 0.5, 1.0] {
            let objective = objective(network, Reads::Two, share);
            let mut model = model(&objective);
            let batch = objective.collate(&examples(), Purpose::Training);
            let counts = objective.target_counts(&batch);
            let device = Device::flex().autodiff();

            let mut losses = Vec::new();
            for _ in 0..1000 {
                let mut noise = Noise::new(vec![1, 2, 3, 4]);
                let loss =
                    objective.forward(&model, &batch, Some(&mut noise), &device).loss(&counts);
                losses.push(loss.clone().into_scalar::<f32>());
                let gradients = loss.backward();
                let mut descend = Descend { gradients, missing: Vec::new() };
                model = model.map(&mut descend);
                assert!(descend.missing.is_empty(), "{network:?}: {:?}", descend.missing);
            }

            let (first, last) = (losses[0], losses[999]);
            assert!(last < 0.5 * first, "{network:?}, share {share}: from {first} to {last}");
        }
    }
}

/// One step of gradient descent, which notes the shapes of parameters without a gradient.
struct Descend {
    gradients: burn::tensor::Gradients,
    missing: Vec<Vec<usize>>,
}

impl burn::module::ModuleMapper for Descend {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<burn::tensor::Tensor<D>>,
    ) -> burn::module::Param<burn::tensor::Tensor<D>> {
        let Some(gradient) = param.grad(&self.gradients) else {
            self.missing.push(param.dims().to_vec());
            return param;
        };
        param.map(|value| {
            burn::tensor::Tensor::from_inner(value.inner() - gradient * 0.1).require_grad()
        })
    }
}

#[test]
fn losses_are_those_of_pytorch() {
    let reference = Reference::open();
    let student = reference.matrix("prediction/student", 3);
    let teacher = reference.values("prediction/teacher");
    let mean = |config: DistillationConfig| scalar(config.loss(&student, &teacher)) / 5.0;

    let usual = DistillationConfig::default();
    let (squares, over_classes) = (Comparison::Squares, OverClasses::Mean);
    for (name, config) in [
        ("soft", usual),
        ("soft_3", DistillationConfig { temperature: 3.0, ..usual }),
        ("soft_authors", DistillationConfig { over_classes, ..usual }),
        ("squares", DistillationConfig { comparison: squares, ..usual }),
        ("squares_authors", DistillationConfig { comparison: squares, over_classes, ..usual }),
    ] {
        assert_loss(name, mean(config), reference.number(&format!("prediction/{name}")));
    }
}

#[test]
fn an_empty_sentence_is_an_unknown_word() {
    let objective = objective(Network::Bilstm, Reads::One, 1.0);
    let mut empty = examples().remove(0);
    empty.passage.tokens = vec![2, 3];
    empty.passage.word_starts = vec![true; 2];
    empty.passage.sentence_starts = vec![0];
    let mut unknown = empty.clone();
    unknown.passage.tokens = vec![2, 1, 3];
    unknown.passage.word_starts = vec![true; 3];

    let model = model(&objective).valid();
    let outputs = |example| {
        let batch = objective.collate(&[example], Purpose::Evaluation);
        objective.forward(&model, &batch, None, &Device::flex()).outputs
    };
    assert_eq!(outputs(empty), outputs(unknown));
}

#[test]
fn tokens_and_answers_cannot_be_learnt() {
    let config = SimpleConfig { kind: TaskKind::Question, ..SimpleConfig::default() };
    assert!(config.validate().expect_err("refused").to_string().contains("classes and scores"));
}
