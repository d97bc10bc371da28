//! Encoder, its head, and the generator beside it.

use burn::module::Module;
use burn::tensor::Device;
use rand_chacha::ChaCha8Rng;
use trunk::{Encoder, EncoderConfig, Linear, MlmHead};

use crate::config::{GeneratorKind, RtdConfig, Tying, Variant};
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
        let detects = config.variant.is_detector();
        let std = encoder.initializer_range;

        let model = Self {
            encoder: Encoder::init(encoder, rng, device),
            discriminator: detects.then(|| RtdHead::init(encoder, rng, device)),
            head: (!detects).then(|| MlmHead::init(encoder, rng, device)),
            gate: (config.variant == Variant::AllTokensMlm)
                .then(|| Linear::init(encoder.hidden, 1, std, rng, device)),
            generator: (config.generator.kind == GeneratorKind::Model)
                .then(|| Generator::init(&config.generator, encoder, rng, device)),
        };
        match config.generator.tying {
            Tying::Disentangled => model.with_equal_tables(),
            _ => model,
        }
    }
}

/// The head of the encoder, which the variant decides.
#[derive(Clone, Copy, Debug)]
pub enum VariantHead<'m> {
    /// Tells replaced tokens from originals (ELECTRA, ELECTRA 15 %).
    Detector(&'m RtdHead),
    /// Predicts original tokens (Replace MLM).
    MaskedLm(&'m MlmHead),
    /// Predicts original tokens, or copies the input (All-Tokens MLM).
    CopyGate(CopyHeads<'m>),
}

/// The two heads of All-Tokens MLM.
#[derive(Clone, Copy, Debug)]
pub struct CopyHeads<'m> {
    /// The softmax over the vocabulary.
    pub head: &'m MlmHead,
    /// The logit of copying the input.
    pub gate: &'m Linear,
}

impl RtdModel {
    /// The head of the encoder.
    ///
    /// # Panics
    /// When the model has none, which [`RtdModel::init`] does not make.
    pub fn variant_head(&self) -> VariantHead<'_> {
        match (&self.discriminator, &self.head, &self.gate) {
            (Some(head), ..) => VariantHead::Detector(head),
            (None, Some(head), None) => VariantHead::MaskedLm(head),
            (None, Some(head), Some(gate)) => VariantHead::CopyGate(CopyHeads { head, gate }),
            (None, None, _) => panic!("a model of this objective has a head"),
        }
    }
}
