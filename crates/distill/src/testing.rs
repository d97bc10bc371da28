//! A teacher and examples for tests.

use std::sync::Arc;

use burn::tensor::Device;
use corpus::Passage;
use objective::{Context, Example, Label, Teacher, fixtures};
use trunk::EncoderConfig;

/// The shape of a teacher.
pub fn shape() -> EncoderConfig {
    EncoderConfig { layers: 4, ..fixtures::encoder() }
}

/// A random teacher with a head.
pub fn teacher(config: &EncoderConfig) -> Teacher {
    fixtures::teacher(config, &Device::flex())
}

/// The context of a student with 40 token ids.
pub fn context(encoder: EncoderConfig, teacher: Option<Teacher>) -> Context {
    Context {
        token_counts: (0..40).map(|i| 1 + i * i).collect(),
        encoder,
        teacher: teacher.map(Arc::new),
        ..fixtures::context(40, 24)
    }
}

/// Four sequences of 9 to 18 tokens, two sentences each.
pub fn examples() -> Vec<Example> {
    let example = |number: u64| {
        let tokens: Vec<u32> =
            (0..9 + 3 * number as u32).map(|i| 5 + (i * 7 + number as u32) % 35).collect();
        let passage = Passage::of_words(number, tokens, vec![0, 4]);
        Example { label: Some(Label::Class(0)), ..fixtures::example(passage) }
    };
    (0..4).map(example).collect()
}
