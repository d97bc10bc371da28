//! Fine-tuning, by hand and by the trials of the contract that fit it.

use ::objective::{Context, Example, Label, Objective, Purpose, fixtures};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use corpus::Passage;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::{EncoderConfig, Noise};

use crate::{Finetune, FinetuneConfig, FinetuneModel, HeadStyle, TaskKind};

const STYLES: [HeadStyle; 7] = [
    HeadStyle::Bert,
    HeadStyle::Roberta,
    HeadStyle::Electra,
    HeadStyle::ElectraAuthors,
    HeadStyle::Distilbert,
    HeadStyle::Tinybert,
    HeadStyle::Modernbert,
];
const KINDS: [TaskKind; 4] =
    [TaskKind::Classification, TaskKind::Regression, TaskKind::Tagging, TaskKind::Question];

fn context() -> Context {
    Context { token_counts: vec![], ..fixtures::context(40, 24) }
}

fn finetune(kind: TaskKind, head: HeadStyle) -> Finetune {
    let labels = ["no", "yes", "perhaps"].map(str::to_owned).to_vec();
    Finetune::new(
        FinetuneConfig { kind, head, labels, dropout: 0.1, ..FinetuneConfig::default() },
        &context(),
    )
    .expect("an objective")
}

fn label(kind: TaskKind, number: u32, len: u32) -> Label {
    match kind {
        TaskKind::Classification => Label::Class(number % 3),
        TaskKind::Regression => Label::Score(number as f32 * 0.5 - 1.0),
        TaskKind::Tagging => {
            Label::Tags((0..len).map(|i| (i % 3 == 1).then_some((i + number) % 3)).collect())
        }
        TaskKind::Question => Label::Span(number % 3, 3 + number % 2),
    }
}

fn examples(kind: TaskKind) -> Vec<Example> {
    let example = |number: u32| {
        let len = 7 + 3 * number;
        let tokens: Vec<u32> = (0..len).map(|i| 5 + (i * 7 + number) % 35).collect();
        let passage = Passage::of_words(u64::from(number), tokens, vec![0, len / 2]);
        Example { label: Some(label(kind, number, len)), ..fixtures::example(passage) }
    };
    (0..4).map(example).collect()
}

fn model(objective: &Finetune) -> FinetuneModel {
    objective.init(
        &fixtures::encoder(),
        &mut ChaCha8Rng::seed_from_u64(1),
        &Device::flex().autodiff(),
    )
}

/// The share of `examples` in the loss of a step over all examples of `kind`.
fn loss(
    kind: TaskKind,
    objective: &Finetune,
    model: &FinetuneModel,
    examples: &[Example],
) -> Tensor<1> {
    let batch = objective.collate(examples, Purpose::Training);
    let mut noise = Noise::new(examples.iter().map(Example::noise_key).collect());
    let device = Device::flex().autodiff();

    let whole = objective.collate(&self::examples(kind), Purpose::Training);
    let counts = objective.target_counts(&whole);
    objective.forward(model, &batch, Some(&mut noise), &device).loss(&counts)
}

#[test]
fn micro_batches_add_up_to_the_batch_for_every_kind_and_head() {
    for kind in KINDS {
        for head in STYLES {
            let objective = finetune(kind, head);
            let (model, examples) = (model(&objective), examples(kind));

            let whole = loss(kind, &objective, &model, &examples).into_scalar::<f32>();
            let parts: f32 = examples
                .chunks(1)
                .map(|part| loss(kind, &objective, &model, part).into_scalar::<f32>())
                .sum();
            assert!(
                (whole - parts).abs() < 1e-4 * whole.abs().max(1.0),
                "{kind:?} {head:?}: {whole} is not {parts}"
            );
        }
    }
}

#[test]
fn a_batch_can_be_learnt_by_heart() {
    for kind in KINDS {
        let objective = finetune(kind, HeadStyle::Bert);
        let quiet = EncoderConfig { dropout: 0.0, attention_dropout: 0.0, ..fixtures::encoder() };
        let device = Device::flex().autodiff();
        let mut model = objective.init(&quiet, &mut ChaCha8Rng::seed_from_u64(1), &device);
        let batch = objective.collate(&examples(kind), Purpose::Training);
        let counts = objective.target_counts(&batch);
        let value =
            |model: &FinetuneModel| objective.forward(model, &batch, None, &device).loss(&counts);

        let first = value(&model).into_scalar::<f32>();
        for _ in 0..150 {
            let gradients = value(&model).backward();
            model = Descend { gradients, rate: 0.1 }.step(model);
        }
        let last = value(&model).into_scalar::<f32>();
        assert!(last < 0.5 * first, "{kind:?}: from {first} to {last}");
    }
}

/// Gradient descent.
struct Descend {
    gradients: burn::tensor::Gradients,
    rate: f64,
}

impl Descend {
    fn step(mut self, model: FinetuneModel) -> FinetuneModel {
        model.map(&mut self)
    }
}

impl burn::module::ModuleMapper for Descend {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        let Some(gradient) = param.grad(&self.gradients) else { return param };
        param.map(|value| {
            let new = value.inner() - gradient * self.rate;
            Tensor::from_inner(new).require_grad()
        })
    }
}

#[test]
fn padding_changes_no_output() {
    for kind in KINDS {
        let objective = finetune(kind, HeadStyle::Roberta);
        let model = model(&objective).valid();
        let examples = examples(kind);
        let device = Device::flex();
        let outputs = |examples: &[Example]| {
            let batch = objective.collate(examples, Purpose::Evaluation);
            objective.forward(&model, &batch, None, &device).outputs
        };

        let together = outputs(&examples);
        for (example, beside) in examples.iter().zip(together) {
            let alone = &outputs(std::slice::from_ref(example))[0];
            assert_eq!(alone.len(), beside.len());
            assert!(alone.iter().zip(beside).all(|(a, b)| (a - b).abs() < 1e-5), "{kind:?}");
        }
    }
}

#[test]
fn metrics_of_classes_are_computed_from_outputs() {
    let objective = finetune(TaskKind::Classification, HeadStyle::Bert);
    // The predicted classes are 0, 1, 1, 0, the labels 0, 1, 2, 0.
    let outputs = [[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 2.0, 1.0], [1.0, 0.0, 0.0]]
        .map(|row| row.to_vec());

    let metrics = objective.metrics(&examples(TaskKind::Classification), &outputs);
    let (_, macro_f1) =
        metrics.iter().find(|(name, _)| *name == "finetune/macro_f1").expect("there");
    // F1 of 0: 1; of 1: 2/3; of 2: 0.
    assert!((macro_f1 - 5.0 / 9.0).abs() < 1e-9, "{macro_f1}");
}

#[test]
fn the_first_token_of_an_answer_is_sought_among_real_tokens_only() {
    let objective = finetune(TaskKind::Question, HeadStyle::Bert);
    let model = model(&objective);
    let examples = examples(TaskKind::Question);
    let device = Device::flex().autodiff();
    let sum = |examples: &[Example]| {
        let batch = objective.collate(examples, Purpose::Evaluation);
        let term = objective.forward(&model, &batch, None, &device).terms.remove(0);
        term.tally.sum.into_scalar::<f32>()
    };
    let alone: f32 = examples.iter().map(|example| sum(std::slice::from_ref(example))).sum();
    assert!((alone - sum(&examples)).abs() < 1e-4);
}
