//! Token, position and segment embeddings.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::{Lookup, Mask, Noise, dropout};
use rand_chacha::ChaCha8Rng;

use crate::config::EncoderConfig;
use crate::init::truncated_normal;
use crate::input::Input;
use crate::layers::{LayerNorm, Linear};

/// The sum of token, position and segment embeddings, normalised, dropped out, and projected to the hidden width where
/// the tables are narrower (ALBERT's factorisation; the norm stands before the projection, as in the authors' code).
#[derive(Module, Debug)]
pub struct Embeddings {
    /// `[vocabulary, embedding]`, tied with the output layer of the heads.
    pub tokens: Param<Tensor<2>>,
    /// `[position_offset + positions, embedding]`
    pub positions: Param<Tensor<2>>,
    /// `[segments, embedding]`
    pub segments: Param<Tensor<2>>,
    /// Over the embedding width.
    pub norm: LayerNorm,
    /// From embedding to hidden width, when they differ.
    pub projection: Option<Linear>,
    #[module(skip)]
    offset: usize,
    #[module(skip)]
    dropout: f64,
}

impl Embeddings {
    /// New tables; `config.vocabulary` must be known.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let (width, std) = (config.embedding_width(), config.initializer_range);
        let mut table = |rows| truncated_normal([rows, width], std, rng, device);
        Self {
            tokens: table(config.vocabulary),
            positions: table(config.position_offset + config.positions),
            segments: table(config.segments),
            norm: LayerNorm::init(width, config.norm_epsilon, device),
            projection: (width != config.hidden).then(|| Linear::init(width, config.hidden, std, rng, device)),
            offset: config.position_offset,
            dropout: config.dropout,
        }
    }

    /// `[rows, hidden]`
    pub fn forward(&self, input: &Input, noise: Option<&mut Noise>) -> Tensor<2> {
        let lookup = Lookup {
            tokens: input.tokens.clone(),
            segments: input.segments.clone(),
            rows: input.rows.clone(),
            offset: self.offset,
        };
        let sum = kernels::embed(self.tokens.val(), self.segments.val(), self.positions.val(), lookup);
        let x = dropout(self.norm.forward(sum), Mask::draw(noise, self.dropout, &input.rows));
        match &self.projection {
            Some(projection) => projection.forward(x),
            None => x,
        }
    }
}
