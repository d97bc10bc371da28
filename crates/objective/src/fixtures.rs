//! Small contexts, examples and teachers, for the tests of objectives.

use burn::tensor::Device;
use corpus::{Passage, Specials};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use trunk::{Encoder, EncoderConfig, MlmHead};

use crate::context::Context;
use crate::example::Example;
use crate::teacher::{Teacher, TeacherModel};

/// The special tokens of [`context`]: ids 0 to 4.
pub const SPECIALS: Specials = Specials { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 };

/// A context of `vocabulary` ids that occur equally often.
pub fn context(vocabulary: usize, max_length: usize) -> Context {
    Context {
        specials: SPECIALS,
        special_ids: (0..5).collect(),
        vocabulary,
        token_counts: vec![1; vocabulary],
        ngrams: None,
        max_length,
        encoder: EncoderConfig::default(),
        teacher: None,
    }
}

/// An encoder of a few thousand parameters with 40 token ids, 24 positions and two segments.
pub fn encoder() -> EncoderConfig {
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

/// A passage in the first epoch of the run with seed 1.
pub fn example(passage: Passage) -> Example {
    Example {
        passage,
        seed: 1,
        epoch: 0,
        partner: None,
        label: None,
        teacher_logits: None,
        progress: 1.0,
        token_weights: None,
        piece: 0,
    }
}

/// Four examples of 12 to 18 token ids below 40, with two sentences, words of one and two tokens,
/// and a partner each.
pub fn examples() -> Vec<Example> {
    let passage = |number: u64| {
        let n = 12 + 2 * (number as u32 % 10);
        let tokens: Vec<u32> = (0..n).map(|i| 5 + (i * 7 + number as u32) % 35).collect();
        let word_starts = (0..tokens.len()).map(|i| i % 3 != 1).collect();
        Passage { word_starts, ..Passage::of_words(number, tokens, vec![0, 6]) }
    };

    let with_partner =
        |number: u64| Example { partner: Some(passage(number + 10)), ..example(passage(number)) };
    (0..4).map(with_partner).collect()
}

/// A teacher with random weights and a masked-language-model head.
pub fn teacher(config: &EncoderConfig, device: &Device) -> Teacher {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let encoder = Encoder::init(config, &mut rng, device);
    let head = Some(MlmHead::init(config, &mut rng, device));
    Teacher { config: config.clone(), model: TeacherModel { encoder, head } }
}
