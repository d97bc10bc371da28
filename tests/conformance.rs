//! Every objective of the registry passes the trials of the contract, on every backend of this
//! build.

mod common;

use std::sync::Arc;

use bert_variants::backend::Backend;
use bert_variants::registry::OBJECTIVES;
use burn::tensor::Device;
use corpus::{Passage, Specials};
use objective::{Context, Example, Teacher, TeacherModel};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::{Encoder, EncoderConfig, MlmHead};

fn context(device: &Device) -> Context {
    Context {
        specials: Specials { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 },
        special_ids: (0..5).collect(),
        vocabulary: 40,
        counts: vec![10; 40],
        max_length: 24,
        encoder: encoder(),
        teacher: Some(Arc::new(teacher(device))),
    }
}

fn encoder() -> EncoderConfig {
    EncoderConfig {
        vocabulary: 40,
        hidden: 16,
        heads: 2,
        feed_forward: 24,
        positions: 24,
        segments: 2,
        ..EncoderConfig::default()
    }
}

/// A teacher with twice the layers.
fn teacher(device: &Device) -> Teacher {
    let config = EncoderConfig { layers: 2 * encoder().layers, ..encoder() };
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let encoder = Encoder::init(&config, &mut rng, device);
    let head = Some(MlmHead::init(&config, &mut rng, device));
    Teacher { config, model: TeacherModel { encoder, head } }
}

fn passage(number: u64) -> Passage {
    let tokens: Vec<u32> =
        (0..12 + 2 * (number as u32 % 10)).map(|i| 5 + (i * 7 + number as u32) % 35).collect();
    let word_starts = (0..tokens.len()).map(|i| i % 3 != 1).collect();
    Passage { word_starts, ..Passage::of_words(number, tokens, vec![0, 6]) }
}

fn examples() -> Vec<Example> {
    let example = |number: u64| {
        let partner = Some(passage(number + 10));
        Example { passage: passage(number), seed: 3, epoch: 0, partner, answer: None, advice: None }
    };
    (0..4).map(example).collect()
}

fn run_on(backend: Backend) {
    let Some(device) = common::open(backend) else { return };
    for entry in OBJECTIVES {
        (entry.trials)(&context(&device), &encoder(), &examples(), &device);
    }
}

#[test]
fn every_objective_keeps_the_contract_on_the_cpu() {
    run_on(Backend::Cpu);
}

#[test]
fn every_objective_keeps_the_contract_on_wgpu() {
    run_on(Backend::Wgpu);
}

#[test]
fn every_objective_keeps_the_contract_on_ndarray() {
    run_on(Backend::Ndarray);
}
