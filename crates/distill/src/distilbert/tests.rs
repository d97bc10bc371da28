//! DistilBERT against PyTorch, and against itself.

use burn::tensor::{Device, Tensor};
use kernels::{Measure, OutputLayer, Precision, gather, vocabulary_distance};
use mlm::MlmModel;
use objective::trials::Bench;
use objective::{Objective, Purpose, TeacherModel};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::{EncoderConfig, Noise};

use super::{Distilbert, DistilbertConfig, HeadStart, Positions, Start};
use crate::cosine::cosine_distances;
use crate::reference::{Reference, assert_loss, scalar};
use crate::testing::{context, examples, shape, teacher};

fn student() -> EncoderConfig {
    EncoderConfig { layers: 2, segments: 0, ..shape() }
}

/// A layer whose logits are those of the reference at `rows`.
fn layer(reference: &Reference, name: &str, rows: &[u32]) -> OutputLayer {
    let device = Device::flex();
    let hidden = gather(reference.matrix(name, 11), rows.to_vec());
    let (table, bias) = (Tensor::eye(11, &device), Tensor::zeros([11], &device));
    OutputLayer { hidden, table, bias, precision: Precision::F32 }
}

#[test]
fn losses_are_those_of_pytorch() {
    let reference = Reference::open();
    let labels = reference.values("distilbert/labels");
    let predicted: Vec<u32> =
        (0..labels.len() as u32).filter(|i| labels[*i as usize] >= 0.0).collect();

    for (name, rows) in [("all", reference.sequences().real_positions()), ("predicted", predicted)]
    {
        let distance = |measure| {
            let [student, teacher] = ["student", "teacher"]
                .map(|who| layer(&reference, &format!("distilbert/{who}_logits"), &rows));
            scalar(vocabulary_distance(student, teacher, measure)) / rows.len() as f64
        };
        for temperature in [1.0, 2.0] {
            let name = format!("distilbert/divergence_{name}_{temperature}");
            assert_loss(
                &name,
                distance(Measure::Divergence { temperature }),
                reference.number(&name),
            );
        }

        let name = format!("distilbert/squares_{name}");
        assert_loss(&name, distance(Measure::Squares), reference.number(&name));
    }

    let hidden = |who: &str| {
        gather(
            reference.matrix(&format!("distilbert/{who}_hidden"), 6),
            reference.sequences().real_positions(),
        )
    };
    let cosine = scalar(cosine_distances(hidden("student"), hidden("teacher")).mean());
    assert_loss("distilbert/cosine", cosine, reference.number("distilbert/cosine"));
}

#[test]
fn a_student_that_is_its_teacher_is_at_no_distance() {
    for positions in [Positions::All, Positions::Predicted] {
        let config = DistilbertConfig { positions, squares: 1.0, ..DistilbertConfig::default() };
        let (shape, device) = (shape(), Device::flex());
        let objective =
            Distilbert::new(config, &context(shape.clone(), Some(teacher(&shape)))).expect("fits");
        let TeacherModel { encoder, head } = teacher(&shape).model;
        let model = MlmModel { encoder, head: head.expect("a head") };
        let batch = objective.collate(&examples(), Purpose::Evaluation);
        let step = objective.forward(&model, &batch, None, &device);

        let names: Vec<&str> = step.terms.iter().map(|term| term.tally.name).collect();
        let want = ["mlm/loss", "distilbert/divergence", "distilbert/squares", "distilbert/cosine"];
        assert_eq!(names, want);

        let sums: Vec<f64> =
            step.terms.into_iter().map(|term| scalar(term.tally.sum) / term.tally.count).collect();
        assert!(sums[0] > 1.0, "{sums:?}");
        assert!(sums[1..].iter().all(|sum| sum.abs() < 1e-5), "{sums:?}");
    }
}

#[test]
fn the_contract_is_kept_with_every_term() {
    for (positions, squares) in [(Positions::All, 0.0), (Positions::Predicted, 0.5)] {
        // A teacher that knows nothing and the labels cannot both be followed.
        let config =
            DistilbertConfig { positions, squares, mlm: 0.0, ..DistilbertConfig::default() };
        let objective =
            Distilbert::new(config, &context(student(), Some(teacher(&shape())))).expect("fits");

        Bench {
            objective: &objective,
            encoder: student(),
            examples: examples(),
            device: Device::flex(),
        }
        .run();
    }
}

#[test]
fn the_teacher_gets_no_gradient_and_drops_nothing_out() {
    let objective =
        Distilbert::new(DistilbertConfig::default(), &context(student(), Some(teacher(&shape()))))
            .expect("fits");
    let quiet = EncoderConfig { dropout: 0.0, attention_dropout: 0.0, ..student() };
    let device = Device::flex().autodiff();
    let model = objective.init(&quiet, &mut ChaCha8Rng::seed_from_u64(1), &device);
    let batch = objective.collate(&examples(), Purpose::Training);
    let counts = objective.target_counts(&batch);

    let loss = |seed| {
        let mut noise = Noise::new(vec![seed; 4]);
        scalar(objective.forward(&model, &batch, Some(&mut noise), &device).loss(&counts).inner())
    };
    // Only the teacher could drop out.
    assert_eq!(loss(1), loss(2));
}

#[test]
fn a_student_starts_from_every_other_layer() {
    let names = |config: DistilbertConfig, name: &str| {
        let twelve = EncoderConfig { layers: 12, ..shape() };
        let six = EncoderConfig { layers: 6, ..student() };
        Distilbert::new(config, &context(six, Some(teacher(&twelve))))
            .expect("fits")
            .init_sources(name)
    };

    let usual = DistilbertConfig::default();
    for (ours, theirs) in [0, 2, 4, 7, 9, 11].into_iter().enumerate() {
        let found = names(usual.clone(), &format!("encoder.stack.feed_forward.{ours}.inner.bias"));
        assert_eq!(found, [format!("encoder.stack.feed_forward.{theirs}.inner.bias")]);
    }

    let embeddings = "encoder.embeddings.tokens";
    assert_eq!(names(usual.clone(), embeddings), [embeddings]);
    assert_eq!(names(usual.clone(), "head.bias"), ["head.bias"]);
    assert_eq!(names(usual.clone(), "head.transform.weight"), Vec::<String>::new());

    let whole = DistilbertConfig { head: HeadStart::Transform, ..usual.clone() };
    assert_eq!(names(whole, "head.transform.weight"), ["head.transform.weight"]);
    let listed = DistilbertConfig { layers: vec![0, 1, 2, 3, 4, 5], ..usual };
    assert_eq!(
        names(listed, "encoder.stack.attention.5.key.bias"),
        ["encoder.stack.attention.5.key.bias"]
    );
}

#[test]
fn a_teacher_that_does_not_fit_is_refused_with_the_reason() {
    let message = |config: DistilbertConfig, encoder: EncoderConfig| {
        Distilbert::new(config, &context(encoder, Some(teacher(&shape()))))
            .expect_err("refused")
            .to_string()
    };

    let (usual, narrow) = (DistilbertConfig::default(), EncoderConfig { hidden: 8, ..student() });
    assert!(
        message(usual.clone(), narrow.clone()).contains("the student is 8 wide and the teacher 16")
    );
    let without_cosine = DistilbertConfig { cosine: 0.0, ..usual.clone() };
    assert!(message(without_cosine, narrow).contains("start = \"teacher\""));

    let words = EncoderConfig { vocabulary: 50, ..student() };
    assert!(message(usual.clone(), words).contains("use the teacher's tokenizer"));
    let listed = DistilbertConfig { layers: vec![0, 4], ..usual.clone() };
    assert!(message(listed, student()).contains("layers = [0, 4]"));

    let nothing =
        DistilbertConfig { divergence: 0.0, mlm: 0.0, cosine: 0.0, start: Start::Random, ..usual };
    assert!(message(nothing, student()).contains("nothing is learnt"));
}
