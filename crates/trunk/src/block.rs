//! The two sublayers of a layer, each with its norm.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use kernels::{
    Activation, Attention, Mask, Noise, Precision, Rows, Visibility, activate, add_normalise,
    add_residual, attention, attention_scores, gather, project_pair,
};
use rand_chacha::ChaCha8Rng;

use crate::config::{EncoderConfig, NormPlacement};
use crate::input::EncoderInput;
use crate::layers::{LayerNorm, Linear};

/// Multi-head self-attention and its norm.
#[derive(Module, Debug)]
pub struct AttentionBlock {
    /// `[hidden, hidden]`
    pub query: Linear,
    /// `[hidden, hidden]`
    pub key: Linear,
    /// `[hidden, hidden]`
    pub value: Linear,
    /// `[hidden, hidden]`
    pub output: Linear,
    /// After the residual sum (post-LN) or before the projections (pre-LN).
    pub norm: LayerNorm,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    precision: Precision,
    #[module(skip)]
    weights_dropout: f64,
    #[module(skip)]
    residual: Residual,
}

impl AttentionBlock {
    /// New weights.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let mut linear = || config.linear(config.hidden, config.hidden, rng, device);
        Self {
            query: linear(),
            key: linear(),
            value: linear(),
            output: linear(),
            norm: LayerNorm::init(config.hidden, config.norm_epsilon, device),
            heads: config.heads,
            precision: config.precision,
            weights_dropout: config.attention_dropout,
            residual: Residual::new(config),
        }
    }

    /// `[rows, hidden]` to the same, or to the rows of `at` only: their indices and which tokens
    /// they are. The scores before their softmax are put to `scores`, if there is such a place.
    pub fn forward(
        &self,
        x: Tensor<2>,
        input: &EncoderInput,
        at: Option<(&[u32], &Rows)>,
        scores: Option<&mut Vec<Tensor<1>>>,
        mut noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let normed = self.residual.before(&self.norm, x.clone());
        let maps = [&self.key, &self.value].map(|map| (map.weight.val(), map.bias.val()));
        let packed = project_pair(normed.clone(), maps, self.precision);

        let (x, asking, rows) = match at {
            Some((indices, rows)) => {
                (gather(x, indices.to_vec()), gather(normed, indices.to_vec()), rows)
            }
            None => (x, normed, &input.rows),
        };

        let queries = self.query.forward(asking);
        let options = Attention {
            visibility: Visibility::default(),
            heads: self.heads,
            queries: rows.clone(),
            keys: input.rows.clone(),
            bias: input.bias.clone(),
        };
        if let Some(scores) = scores {
            scores.push(attention_scores(queries.clone(), packed.clone(), &options));
        }

        let mask = Mask::draw(noise.as_deref_mut(), self.weights_dropout, rows);
        let context = attention(queries, packed, options, mask);
        self.residual.after(&self.norm, x, &self.output, context, rows, noise)
    }
}

/// The position-wise feed-forward network and its norm.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `[hidden, feed_forward]`
    pub inner: Linear,
    /// `[feed_forward, hidden]`
    pub outer: Linear,
    /// After the residual sum (post-LN) or before the network (pre-LN).
    pub norm: LayerNorm,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    residual: Residual,
}

impl FeedForward {
    /// New weights.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let (hidden, wide) = (config.hidden, config.feed_forward);
        Self {
            inner: config.linear(hidden, wide, rng, device),
            outer: config.linear(wide, hidden, rng, device),
            norm: LayerNorm::init(hidden, config.norm_epsilon, device),
            activation: config.activation,
            residual: Residual::new(config),
        }
    }

    /// `[rows, hidden]` to the same.
    pub fn forward(&self, x: Tensor<2>, rows: &Rows, noise: Option<&mut Noise>) -> Tensor<2> {
        let normed = self.residual.before(&self.norm, x.clone());
        let wide = activate(self.activation, self.inner.project(normed), self.inner.bias.val());
        self.residual.after(&self.norm, x, &self.outer, wide, rows, noise)
    }
}

/// How a sublayer joins the residual stream.
#[derive(Clone, Debug)]
struct Residual {
    placement: NormPlacement,
    dropout: f64,
}

impl Residual {
    fn new(config: &EncoderConfig) -> Self {
        Self { placement: config.norm, dropout: config.dropout }
    }

    fn before(&self, norm: &LayerNorm, x: Tensor<2>) -> Tensor<2> {
        match self.placement {
            NormPlacement::Post => x,
            NormPlacement::Pre => norm.forward(x),
        }
    }

    /// Adds what `last` makes of `inner` to `x`; with post-LN the sum is normalised.
    fn after(
        &self,
        norm: &LayerNorm,
        x: Tensor<2>,
        last: &Linear,
        inner: Tensor<2>,
        rows: &Rows,
        noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let (added, bias) = (last.project(inner), last.bias.val());
        let mask = Mask::draw(noise, self.dropout, rows);
        match self.placement {
            NormPlacement::Post => add_normalise(x, added, bias, norm.parameters(), mask),
            NormPlacement::Pre => add_residual(x, added, bias, mask),
        }
    }
}
