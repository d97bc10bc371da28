//! The generator: a masked language model that may live on the encoder's embeddings.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::Noise;
use rand_chacha::ChaCha8Rng;
use trunk::{
    Encoder, EncoderConfig, EncoderInput, MlmHead, PositionEmbeddings, Stack, token_table,
};

use crate::config::{GeneratorConfig, Tying};

/// What a generator has of its own; the rest is the encoder's.
#[derive(Module, Debug)]
pub struct Generator {
    /// `[vocabulary, embedding]`, untied.
    pub tokens: Option<Param<Tensor<2>>>,
    /// Position and segment tables and their norm, unless they are shared.
    pub places: Option<PositionEmbeddings>,
    /// The layers, unless they are shared.
    pub stack: Option<Stack>,
    /// Predicts tokens.
    pub head: MlmHead,
}

impl Generator {
    /// New weights.
    pub fn init(
        config: &GeneratorConfig,
        encoder: &EncoderConfig,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let shape = config.shape(encoder);
        let own = |ties: &[Tying]| ties.contains(&config.tying);

        let generator = Self {
            tokens: own(&[Tying::None, Tying::Disentangled])
                .then(|| token_table(&shape, rng, device)),
            places: own(&[Tying::None, Tying::Tokens, Tying::Disentangled])
                .then(|| PositionEmbeddings::init(&shape, rng, device)),
            stack: (config.tying != Tying::All).then(|| Stack::init(&shape, rng, device)),
            head: MlmHead::init(&shape, rng, device),
        };

        if config.frozen { generator.no_grad() } else { generator }
    }

    /// The number of parameters that it computes with, the encoder's included.
    pub fn parameters(&self, encoder: &Encoder) -> usize {
        let tokens = if self.tokens.is_none() { encoder.embeddings.tokens.num_params() } else { 0 };
        let places = if self.places.is_none() { encoder.embeddings.places.num_params() } else { 0 };
        let stack = if self.stack.is_none() { encoder.stack.num_params() } else { 0 };
        self.num_params() + tokens + places + stack
    }

    /// The token table, `[vocabulary, embedding]`.
    pub fn table(&self, encoder: &Encoder) -> Tensor<2> {
        self.tokens.as_ref().unwrap_or(&encoder.embeddings.tokens).val()
    }

    /// Hidden states at the flat `positions` of `input`, `[n, hidden]`.
    pub fn hidden(
        &self,
        encoder: &Encoder,
        input: &EncoderInput,
        positions: &[u32],
        mut noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let embeddings = self.places.as_ref().unwrap_or(&encoder.embeddings.places);
        let x = embeddings.forward(self.table(encoder), input, noise.as_deref_mut());
        self.stack.as_ref().unwrap_or(&encoder.stack).forward_at(x, input, positions, noise)
    }
}
