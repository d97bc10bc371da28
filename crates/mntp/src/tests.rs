//! What is asked of each sequence, and by which position it is answered.

use burn::tensor::{Device, Tensor};
use mlm::{Masking, MlmModel};
use objective::{Example, Objective, Purpose, fixtures};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::{EncoderConfig, Sequences};

use crate::{Mntp, MntpBatch, MntpConfig};

fn objective(config: MntpConfig) -> Mntp {
    Mntp::new(config, &fixtures::context(40, 24)).expect("an objective")
}

fn with_share(causal: f64) -> Mntp {
    objective(MntpConfig { causal, final_causal: causal, ..MntpConfig::default() })
}

fn model(objective: &Mntp, device: &Device) -> MlmModel {
    let quiet = EncoderConfig { dropout: 0.0, attention_dropout: 0.0, ..fixtures::encoder() };
    objective.init(&quiet, &mut ChaCha8Rng::seed_from_u64(1), device)
}

fn row_of(batch: &MntpBatch, flat: u32) -> usize {
    flat as usize / batch.mlm.sequences.len
}

#[test]
fn causal_sequences_hide_nothing_and_ask_for_every_next_token() {
    let batch = with_share(1.0).collate(&fixtures::examples(), Purpose::Training);
    let sequences = &batch.mlm.sequences;
    assert!(sequences.causal.iter().all(|causal| *causal));
    assert_eq!(batch.mlm.unmasked(), *sequences);
    let wanted: usize = sequences.lengths.iter().map(|length| length - 1).sum();
    assert_eq!((batch.mlm.labels.len(), batch.counts()), (wanted, [0, wanted]));
    for (asked, target) in batch.asked().iter().zip(&batch.mlm.positions) {
        assert_eq!((asked + 1, row_of(&batch, *asked)), (*target, row_of(&batch, *target)));
    }
}

#[test]
fn as_many_sequences_are_causal_as_the_share_of_the_moment_says() {
    let config = MntpConfig { causal: 0.5, final_causal: 0.0, ..MntpConfig::default() };
    let objective = objective(config);
    let causal = |progress: f64| {
        let example = fixtures::examples().remove(0);
        let examples: Vec<Example> =
            (0..2000).map(|epoch| Example { epoch, progress, ..example.clone() }).collect();
        let batch = objective.collate(&examples, Purpose::Training);
        batch.mlm.sequences.causal.iter().filter(|causal| **causal).count()
    };
    // One standard deviation is at most 22.
    assert!(causal(0.0).abs_diff(1000) < 90);
    assert!(causal(0.5).abs_diff(500) < 80);
    assert_eq!(causal(1.0), 0);
}

#[test]
fn the_first_token_is_never_asked_even_where_special_tokens_are_masked() {
    let masking = Masking { rate: 0.9, ..Masking::of(mlm::Family::Roberta) };
    let config = MntpConfig { causal: 0.0, final_causal: 0.0, masking, ..MntpConfig::default() };
    let objective = objective(config);
    for epoch in 0..50 {
        let examples: Vec<Example> =
            fixtures::examples().into_iter().map(|example| Example { epoch, ..example }).collect();
        let batch = objective.collate(&examples, Purpose::Training);
        let len = batch.mlm.sequences.len;
        assert!(batch.mlm.positions.iter().all(|flat| !(*flat as usize).is_multiple_of(len)));
        let firsts = batch.mlm.sequences.tokens.iter().step_by(len);
        assert!(firsts.zip(batch.mlm.unmasked().tokens.iter().step_by(len)).all(|(a, b)| a == b));
    }
}

#[test]
fn nothing_is_asked_of_the_first_token_of_an_isolated_document() {
    let config = |causal| MntpConfig {
        causal,
        final_causal: causal,
        isolate_documents: true,
        masking: Masking { rate: 0.9, ..Masking::default() },
        ..MntpConfig::default()
    };
    for causal in [0.0, 1.0] {
        let mut example = fixtures::examples().remove(0);
        example.passage.document_starts = vec![4, 9];
        let batch = objective(config(causal)).collate(&[example], Purpose::Training);

        // After [CLS].
        assert_eq!(batch.mlm.sequences.documents, [vec![5, 10]]);
        let asked_of = |position: u32| batch.mlm.positions.contains(&position);
        assert!(![0, 5, 10].into_iter().any(asked_of));
        assert!(batch.mlm.labels.len() > 8);
        let unmasked = batch.mlm.unmasked();
        assert!([5, 10].into_iter().all(|i| batch.mlm.sequences.tokens[i] == unmasked.tokens[i]));
    }
}

#[test]
fn in_evaluation_every_passage_is_read_in_both_ways() {
    let examples = fixtures::examples();
    let batch = with_share(0.25).collate(&examples, Purpose::Evaluation);
    let causal = &batch.mlm.sequences.causal;
    assert_eq!(causal.len(), 2 * examples.len());
    assert!(causal.iter().zip(0..).all(|(causal, i)| *causal == (i >= examples.len())));
    let masked_only = with_share(0.0).collate(&examples, Purpose::Evaluation);
    assert_eq!(masked_only.mlm.sequences.batch(), examples.len());
}

#[test]
fn the_loss_weighs_both_means_by_the_share() {
    let (objective, device) = (with_share(0.25), Device::flex());
    let batch = objective.collate(&fixtures::examples(), Purpose::Evaluation);
    let step = objective.forward(&model(&objective, &device), &batch, None, &device);
    let means: Vec<f32> = step
        .terms
        .iter()
        .map(|term| term.tally.sum.clone().into_scalar::<f32>() / term.tally.count as f32)
        .collect();
    let loss = step.loss(&objective.target_counts(&batch)).into_scalar::<f32>();
    assert!((loss - (0.75 * means[0] + 0.25 * means[1])).abs() < 1e-5, "{loss} {means:?}");
}

fn host(x: Tensor<2>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

#[test]
fn a_token_is_predicted_by_the_position_before_it() {
    let (objective, device) = (with_share(0.25), Device::flex());
    let model = model(&objective, &device);
    let sequences = Sequences::pad(&[vec![2, 9, 4, 11, 3], vec![2, 8, 3]], 0);
    let predicted = |positions: &[u32]| {
        host(objective.predict(&model, &sequences, positions, &device).expect("words").logits())
    };
    assert_eq!(predicted(&[2, 6]), host(model.logits(&sequences, &[1, 5], &device)));
}

#[test]
fn a_causal_prediction_does_not_see_its_target() {
    let (objective, device) = (with_share(1.0), Device::flex());
    let model = model(&objective, &device);
    let logits = |last: u32| {
        let row = vec![2, 9, 4, last, 3];
        let sequences = Sequences { causal: vec![true], ..Sequences::pad(&[row], 0) };
        host(objective.predict(&model, &sequences, &[1, 2, 3], &device).expect("words").logits())
    };
    assert_eq!(logits(11), logits(12));
}
