//! The batches and the two losses by hand.

use burn::tensor::Device;
use corpus::Passage;
use mlm::{Masking, PairLabels};
use objective::{Context, Example, Objective, Purpose, fixtures};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::EncoderConfig;

use crate::{Sop, SopBatch, SopConfig};

fn context(segments: usize) -> Context {
    let encoder = EncoderConfig { segments, ..EncoderConfig::default() };
    Context { encoder, ..fixtures::context(60, 32) }
}

fn passage(number: u64, sentences: &[u32], first: u32) -> Passage {
    let n: u32 = sentences.iter().sum();
    let starts = sentences.iter().scan(0, |at, len| Some(std::mem::replace(at, *at + len)));
    Passage::of_words(number, (0..n).map(|i| first + i).collect(), starts.collect())
}

fn example(number: u64, sentences: &[u32]) -> Example {
    let partner = Some(passage(99, &[4, 4], 40));
    Example { partner, ..fixtures::example(passage(number, sentences, 5)) }
}

fn objective(labels: PairLabels) -> Sop {
    Sop::new(SopConfig { labels, ..SopConfig::default() }, &context(2)).expect("an objective")
}

/// The original sequence of a row, without padding.
fn row(batch: &SopBatch, row: usize) -> Vec<u32> {
    let sequences = batch.mlm.unmasked();
    sequences.tokens[row * sequences.len..][..sequences.lengths[row]].to_vec()
}

#[test]
fn in_evaluation_every_pair_is_asked_both_ways() {
    let examples = [example(0, &[4, 5, 3]), example(1, &[6])];
    let batch = objective(PairLabels::SentenceOrder).collate(&examples, Purpose::Evaluation);
    assert_eq!((batch.rows.as_slice(), batch.pair_labels.as_slice()), (&[0, 1][..], &[0, 1][..]));
    assert_eq!(batch.mlm.sequences.batch(), 3, "a single sentence is shown once and asked nothing");

    let halves = |tokens: Vec<u32>| {
        let parts: Vec<Vec<u32>> =
            tokens[1..].split(|token| *token == 3).map(<[u32]>::to_vec).collect();
        (parts[0].clone(), parts[1].clone())
    };

    let (right, wrong) = (halves(row(&batch, 0)), halves(row(&batch, 1)));
    assert_eq!(right, (wrong.1, wrong.0));
    assert_eq!(right.0[0], 5);
}

#[test]
fn half_of_the_training_pairs_are_swapped_and_epochs_differ() {
    let objective = objective(PairLabels::SentenceOrder);
    let swapped = |epoch| {
        let examples: Vec<Example> =
            (0..800).map(|n| Example { epoch, ..example(n, &[4, 5, 3]) }).collect();
        objective.collate(&examples, Purpose::Training).pair_labels
    };
    let share = f64::from(swapped(0).iter().sum::<u32>()) / 800.0;
    // One standard deviation is 0.018.
    assert!((share - 0.5).abs() < 0.07, "{share}");
    assert_ne!(swapped(0), swapped(1));
}

#[test]
fn static_pairs_come_again_after_their_duplicates() {
    let config = SopConfig { duplicates: 2, masking: Masking::default(), ..SopConfig::default() };
    let objective = Sop::new(config, &context(2)).expect("an objective");
    let batch = |epoch| {
        objective.collate(&[Example { epoch, ..example(0, &[4, 5, 3]) }], Purpose::Training)
    };
    assert_eq!(batch(0), batch(2));
    assert_ne!(batch(0), batch(1));

    let config =
        SopConfig { duplicates: 2, labels: PairLabels::NextSentence, ..SopConfig::default() };
    let objective = Sop::new(config, &context(2)).expect("an objective");
    let partners = [0, 1, 2, 5, Example::EVALUATION].map(|epoch| objective.partner_epoch(epoch));
    assert_eq!(
        partners,
        [0, 1, 0, 1, Example::EVALUATION].map(Some),
        "with the same other document"
    );
}

#[test]
fn without_a_question_the_head_stays_as_it_was_and_without_a_pair_it_counts_nothing() {
    let encoder = EncoderConfig {
        vocabulary: 60,
        hidden: 16,
        feed_forward: 24,
        positions: 32,
        ..EncoderConfig::default()
    };

    let device = Device::flex().autodiff();
    let model =
        |objective: &Sop| objective.init(&encoder, &mut ChaCha8Rng::seed_from_u64(1), &device);

    let none = objective(PairLabels::None);
    assert!(!model(&none).pair.classifier.weight.is_require_grad());
    assert_eq!(
        none.target_counts(&none.collate(&[example(0, &[4, 5])], Purpose::Training)).len(),
        1
    );

    let order = objective(PairLabels::SentenceOrder);
    let batch = order.collate(&[example(0, &[6])], Purpose::Training);
    assert_eq!(order.target_counts(&batch)[1], 0.0);
    let step = order.forward(&model(&order), &batch, None, &device);
    assert_eq!(step.terms[1].tally.sum.clone().into_scalar::<f32>(), 0.0);
}

#[test]
fn an_encoder_with_one_segment_is_refused() {
    let error = Sop::new(SopConfig::default(), &context(1)).expect_err("refused").to_string();
    assert!(error.contains("encoder.segments = 2"), "{error}");
}

/// Section 3.1 of the paper says 12 million; with both heads transformers counts 11,813,810 for
/// albert-base.
#[test]
fn alberts_base_has_its_number_of_parameters() {
    let encoder = EncoderConfig {
        vocabulary: 30_000,
        hidden: 768,
        embedding: 128,
        layers: 12,
        heads: 12,
        feed_forward: 3072,
        sharing: trunk::Sharing::All,
        ..EncoderConfig::default()
    };

    let model = objective(PairLabels::SentenceOrder).init(
        &encoder,
        &mut ChaCha8Rng::seed_from_u64(1),
        &Device::flex(),
    );

    assert_eq!(burn::module::Module::num_params(&model), 11_813_810);
}
