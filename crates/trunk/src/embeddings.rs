//! Token, position and segment embeddings.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::{Lookup, Mask, Noise, dropout, gather};
use rand_chacha::ChaCha8Rng;

use crate::config::{EncoderConfig, PositionEmbedding};
use crate::init::truncated_normal;
use crate::input::EncoderInput;
use crate::norm::Norm;

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
    /// `[position_offset + positions, embedding]`, where positions are absolute.
    pub positions: Option<Param<Tensor<2>>>,
    /// `[segments, embedding]`, where there are any.
    pub segments: Option<Param<Tensor<2>>>,
    /// Over the embedding width, where embeddings are normalised.
    pub norm: Option<Norm>,
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
        let width = config.embedding_width();
        let mut table =
            |rows| truncated_normal([rows, width], config.initializer_range, rng, device);
        Self {
            positions: (config.position_embedding == PositionEmbedding::Absolute)
                .then(|| table(config.position_offset + config.positions)),
            segments: (config.segments > 0).then(|| table(config.segments)),
            norm: config.embedding_norm.then(|| config.new_norm(width, device)),
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
        let sum = match &self.positions {
            Some(positions) => self.with_positions(tokens, positions.val(), input),
            None => self.without_positions(tokens, input),
        };
        let normed = match &self.norm {
            Some(norm) => norm.forward(sum),
            None => sum,
        };
        dropout(normed, Mask::draw(noise, self.dropout, &input.rows))
    }

    fn with_positions(
        &self,
        tokens: Tensor<2>,
        positions: Tensor<2>,
        input: &EncoderInput,
    ) -> Tensor<2> {
        let (segments, ids) = match &self.segments {
            Some(table) => (table.val(), input.segments.clone()),
            None => (Tensor::zeros([1, tokens.dims()[1]], &tokens.device()), Vec::new()),
        };
        let lookup = Lookup {
            tokens: input.tokens.clone(),
            segments: ids,
            rows: input.rows_in_documents(),
            offset: self.offset,
        };
        kernels::embed(tokens, segments, positions, lookup)
    }

    fn without_positions(&self, tokens: Tensor<2>, input: &EncoderInput) -> Tensor<2> {
        let rows = gather(tokens, input.tokens.clone());
        let Some(table) = &self.segments else { return rows };

        let mut segments = input.segments.clone();
        segments.resize(input.tokens.len(), 0);
        rows + gather(table.val(), segments)
    }
}
