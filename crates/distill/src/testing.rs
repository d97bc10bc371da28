//! A teacher, and what its students learn from, for tests.

use std::sync::Arc;

use burn::tensor::Device;
use corpus::{Passage, Specials};
use objective::{Answer, Context, Example, Teacher, TeacherModel};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::{Encoder, EncoderConfig, MlmHead};

/// A teacher's shape.
pub fn shape() -> EncoderConfig {
    EncoderConfig {
        vocabulary: 40,
        hidden: 16,
        heads: 2,
        feed_forward: 24,
        positions: 24,
        layers: 4,
        ..EncoderConfig::default()
    }
}

/// A random teacher with a head.
pub fn teacher(config: &EncoderConfig) -> Teacher {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let device = Device::flex();
    let encoder = Encoder::init(config, &mut rng, &device);
    let head = Some(MlmHead::init(config, &mut rng, &device));
    Teacher { config: config.clone(), model: TeacherModel { encoder, head } }
}

/// What a student of 40 words learns with.
pub fn context(encoder: EncoderConfig, teacher: Option<Teacher>) -> Context {
    Context {
        specials: Specials { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 },
        special_ids: (0..5).collect(),
        vocabulary: 40,
        counts: (0..40).map(|i| 1 + i * i).collect(),
        max_length: 24,
        encoder,
        teacher: teacher.map(Arc::new),
    }
}

/// Four sequences of 9 to 18 tokens, two sentences each.
pub fn examples() -> Vec<Example> {
    let example = |number: u64| {
        let tokens: Vec<u32> =
            (0..9 + 3 * number as u32).map(|i| 5 + (i * 7 + number as u32) % 35).collect();
        let passage = Passage::of_words(number, tokens, vec![0, 4]);
        Example {
            passage,
            seed: 1,
            epoch: 0,
            partner: None,
            answer: Some(Answer::Class(0)),
            advice: None,
        }
    };
    (0..4).map(example).collect()
}
