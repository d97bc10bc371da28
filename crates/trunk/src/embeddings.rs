//! Token, position and segment embeddings.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::{Lookup, Mask, Noise, dropout};
use rand_chacha::ChaCha8Rng;

use crate::config::EncoderConfig;
use crate::init::truncated_normal;
use crate::input::EncoderInput;
use crate::layers::LayerNorm;

/// The token table, and what adds position and segment to its rows.
#[derive(Module, Debug)]
pub struct Embeddings {
    /// `[vocabulary, embedding]`, tied with the output layer of the heads.
    pub tokens: Param<Tensor<2>>,
    /// Everything else.
    pub places: PositionEmbeddings,
}

/// Position and segment tables and the norm of the sum: what an encoder has of its own where it
/// shares a token table.
#[derive(Module, Debug)]
pub struct PositionEmbeddings {
    /// `[position_offset + positions, embedding]`
    pub positions: Param<Tensor<2>>,
    /// `[segments, embedding]`, where there are any.
    pub segments: Option<Param<Tensor<2>>>,
    /// Over the embedding width.
    pub norm: LayerNorm,
    #[module(skip)]
    offset: usize,
    #[module(skip)]
    dropout: f64,
}

impl Embeddings {
    /// New tables; `config.vocabulary` must be known.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        Self {
            tokens: token_table(config, rng, device),
            places: PositionEmbeddings::init(config, rng, device),
        }
    }

    /// The embedded tokens, `[rows, embedding]`.
    pub fn forward(&self, input: &EncoderInput, noise: Option<&mut Noise>) -> Tensor<2> {
        self.places.forward(self.tokens.val(), input, noise)
    }
}

/// A new token table, `[vocabulary, embedding]`.
pub fn token_table(
    config: &EncoderConfig,
    rng: &mut ChaCha8Rng,
    device: &Device,
) -> Param<Tensor<2>> {
    truncated_normal(
        [config.vocabulary, config.embedding_width()],
        config.initializer_range,
        rng,
        device,
    )
}

impl PositionEmbeddings {
    /// New tables.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let (width, std) = (config.embedding_width(), config.initializer_range);
        Self {
            positions: truncated_normal(
                [config.position_offset + config.positions, width],
                std,
                rng,
                device,
            ),
            segments: (config.segments > 0)
                .then(|| truncated_normal([config.segments, width], std, rng, device)),
            norm: LayerNorm::init(width, config.norm_epsilon, device),
            offset: config.position_offset,
            dropout: config.dropout,
        }
    }

    /// The sum of token, position and segment embeddings, normalised and dropped out, `[rows,
    /// embedding]`, given the token table `[vocabulary, embedding]`.
    pub fn forward(
        &self,
        tokens: Tensor<2>,
        input: &EncoderInput,
        noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let (segments, ids) = match &self.segments {
            Some(table) => (table.val(), input.segments.clone()),
            None => (Tensor::zeros([1, tokens.dims()[1]], &tokens.device()), Vec::new()),
        };
        let lookup = Lookup {
            tokens: input.tokens.clone(),
            segments: ids,
            rows: input.rows.clone(),
            offset: self.offset,
        };
        let sum = kernels::embed(tokens, segments, self.positions.val(), lookup);
        dropout(self.norm.forward(sum), Mask::draw(noise, self.dropout, &input.rows))
    }
}
