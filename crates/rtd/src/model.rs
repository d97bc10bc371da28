//! Encoder, its head, and the generator beside it.

use burn::module::Module;
use burn::tensor::Device;
use rand_chacha::ChaCha8Rng;
use trunk::{Encoder, EncoderConfig, Linear, MlmHead};

use crate::config::{Kind, RtdConfig, Variant};
use crate::discriminator::RtdHead;
use crate::generator::Generator;

/// The encoder with what its variant needs.
#[derive(Module, Debug)]
pub struct RtdModel {
    /// The discriminator, or what the variant trains in its place.
    pub encoder: Encoder,
    /// Tells replaced tokens from originals.
    pub discriminator: Option<RtdHead>,
    /// Predicts original tokens, in the variants that do.
    pub head: Option<MlmHead>,
    /// `[hidden, 1]`: the logit of copying the input (All-Tokens MLM).
    pub gate: Option<Linear>,
    /// Writes the samples, unless they are drawn by frequency.
    pub generator: Option<Generator>,
}

impl RtdModel {
    /// New weights.
    pub fn init(
        config: &RtdConfig,
        encoder: &EncoderConfig,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let detects = matches!(config.variant, Variant::Electra | Variant::Electra15);
        let std = encoder.initializer_range;
        Self {
            encoder: Encoder::init(encoder, rng, device),
            discriminator: detects.then(|| RtdHead::init(encoder, rng, device)),
            head: (!detects).then(|| MlmHead::init(encoder, rng, device)),
            gate: (config.variant == Variant::AllTokensMlm)
                .then(|| Linear::init(encoder.hidden, 1, std, rng, device)),
            generator: (config.generator.kind == Kind::Model)
                .then(|| Generator::init(&config.generator, encoder, rng, device)),
        }
    }
}
