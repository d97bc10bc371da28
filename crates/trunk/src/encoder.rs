//! Embeddings and layers, put together.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use kernels::{Noise, Rows, gather};
use rand_chacha::ChaCha8Rng;

use crate::block::{AttentionBlock, FeedForward};
use crate::config::{EncoderConfig, NormPlacement};
use crate::embeddings::Embeddings;
use crate::input::Input;
use crate::layers::LayerNorm;
use crate::sharing::Sharing;

/// The encoder: embeddings, then layers that may share their weights.
#[derive(Module, Debug)]
pub struct Encoder {
    /// The tables, apart, for objectives that share them between two stacks.
    pub embeddings: Embeddings,
    /// The distinct attention sublayers.
    pub attention: Vec<AttentionBlock>,
    /// The distinct feed-forward sublayers.
    pub feed_forward: Vec<FeedForward>,
    /// After the last layer, with pre-LN.
    pub final_norm: Option<LayerNorm>,
    #[module(skip)]
    layers: usize,
    #[module(skip)]
    sharing: Sharing,
}

impl Encoder {
    /// New weights from `rng`; `config` must be valid and its vocabulary known.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let (attention, feed_forward) = config.sharing.distinct(config.layers);
        Self {
            embeddings: Embeddings::init(config, rng, device),
            attention: (0..attention).map(|_| AttentionBlock::init(config, rng, device)).collect(),
            feed_forward: (0..feed_forward).map(|_| FeedForward::init(config, rng, device)).collect(),
            final_norm: (config.norm == NormPlacement::Pre)
                .then(|| LayerNorm::init(config.hidden, config.norm_epsilon, device)),
            layers: config.layers,
            sharing: config.sharing,
        }
    }

    /// The last hidden states of all rows, `[rows, hidden]`. With `noise`, dropout is on.
    pub fn forward(&self, input: &Input, noise: Option<&mut Noise>) -> Tensor<2> {
        self.run(input, None, noise)
    }

    /// The last hidden states at `places` (sequence * len + position, ascending), `[n, hidden]`: the rows that
    /// [`Encoder::forward`] would give there. Where the device computes rows of any length, the last layer leaves out
    /// the queries and the feed-forward network of all other rows, which nobody looks at.
    pub fn forward_at(&self, input: &Input, places: &[u32], noise: Option<&mut Noise>) -> Tensor<2> {
        let (indices, rows) = input.select(places);
        match kernels::is_fused(&self.embeddings.tokens.device()) {
            true => self.run(input, Some((&indices, &rows)), noise),
            false => gather(self.run(input, None, noise), indices),
        }
    }

    fn run(&self, input: &Input, at: Option<(&[u32], &Rows)>, mut noise: Option<&mut Noise>) -> Tensor<2> {
        let mut x = self.embeddings.forward(input, noise.as_deref_mut());
        for layer in 0..self.layers {
            let (attention, feed_forward) = self.sharing.of(layer, self.layers);
            let at = at.filter(|_| layer + 1 == self.layers);
            x = self.attention[attention].forward(x, input, at, noise.as_deref_mut());
            let rows = at.map_or(&input.rows, |(_, rows)| rows);
            x = self.feed_forward[feed_forward].forward(x, rows, noise.as_deref_mut());
        }
        match &self.final_norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }
}
