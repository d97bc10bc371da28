//! The two sublayers of a layer, each with its norm.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use kernels::{
    Activation, Attention, Mask, Noise, Precision, Rows, Visibility, activate, add_residual,
    attention, attention_scores, gate, gather, project_pair, rms_norm, rotate,
};
use rand_chacha::ChaCha8Rng;

use crate::config::{EncoderConfig, NormPlacement};
use crate::input::EncoderInput;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::reach::Reach;

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
    /// `[hidden, hidden]`, of the gate on what attention gathers, where there is one.
    pub gate: Option<Linear>,
    /// After the residual sum (post-LN) or before the projections (pre-LN), where there is one.
    pub norm: Option<Norm>,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    precision: Precision,
    #[module(skip)]
    weights_dropout: f64,
    /// The epsilon of the norm of queries and keys, where there is one.
    #[module(skip)]
    query_key_norm: Option<f64>,
    #[module(skip)]
    residual: Residual,
}

/// What attention looks at.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// All tokens.
    pub input: &'a EncoderInput,
    /// How far they see.
    pub reach: &'a Reach,
    /// The rows that ask, and which tokens they are; none: all do.
    pub at: Option<(&'a [u32], &'a Rows)>,
}

impl Sight<'_> {
    /// The tokens that ask.
    pub fn rows(&self) -> &Rows {
        self.at.map_or(&self.input.rows, |(_, rows)| rows)
    }

    /// The rows of `x` that ask.
    fn asking(&self, x: &Tensor<2>) -> Tensor<2> {
        match self.at {
            Some((indices, _)) => gather(x.clone(), indices.to_vec()),
            None => x.clone(),
        }
    }
}

impl AttentionBlock {
    /// New weights, for the encoder's first layer or another.
    pub fn init(
        config: &EncoderConfig,
        is_first: bool,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Self {
        let hidden = config.hidden;
        let has_norm = config.first_norm || !is_first;
        Self {
            query: config.linear(hidden, hidden, rng, device),
            key: config.linear(hidden, hidden, rng, device),
            value: config.linear(hidden, hidden, rng, device),
            output: config.output_linear(hidden, rng, device),
            gate: config.attention_gate.then(|| config.linear(hidden, hidden, rng, device)),
            norm: has_norm.then(|| config.new_norm(hidden, device)),
            heads: config.heads,
            precision: config.precision,
            weights_dropout: config.attention_dropout,
            query_key_norm: config.query_key_norm.then_some(config.norm_epsilon),
            residual: Residual::new(config),
        }
    }

    /// `[rows, hidden]` to the same, or to the rows that ask only. The scores before their softmax
    /// are put to `scores`, if there is such a place.
    pub fn forward(
        &self,
        x: Tensor<2>,
        sight: Sight<'_>,
        scores: Option<&mut Vec<Tensor<1>>>,
        mut noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let normed = self.residual.before(self.norm.as_ref(), x.clone());
        let asking = sight.asking(&normed);
        let packed = self.keys_and_values(normed, sight);
        let queries = self.queries(asking.clone(), sight);

        let visibility = Visibility {
            window: sight.reach.window,
            causal: sight.input.causal.clone(),
            documents: sight.input.documents.clone(),
        };
        let options = Attention {
            heads: self.heads,
            queries: sight.rows().clone(),
            keys: sight.input.rows.clone(),
            visibility,
            bias: sight.input.bias.clone(),
        };
        if let Some(scores) = scores {
            scores.push(attention_scores(queries.clone(), packed.clone(), &options));
        }

        let mask = Mask::draw(noise.as_deref_mut(), self.weights_dropout, sight.rows());
        let mut context = attention(queries, packed, options, mask);
        if let Some(gate) = &self.gate {
            context = context * activate(Activation::Gelu, gate.project(asking), gate.bias());
        }

        let x = sight.asking(&x);
        self.residual.after(self.norm.as_ref(), x, &self.output, context, sight.rows(), noise)
    }

    /// The queries of the rows that ask, `[asking, hidden]`.
    fn queries(&self, asking: Tensor<2>, sight: Sight<'_>) -> Tensor<2> {
        let queries = self.normalise_heads(self.query.forward(asking));
        match &sight.reach.rotary {
            Some(rotary) => {
                let [_, width] = queries.dims();
                rotate(queries, rotary, width, sight.rows())
            }
            None => queries,
        }
    }

    /// Keys and values side by side, `[rows, 2 * hidden]`.
    fn keys_and_values(&self, normed: Tensor<2>, sight: Sight<'_>) -> Tensor<2> {
        let packed = if self.query_key_norm.is_some() {
            let keys = self.normalise_heads(self.key.forward(normed.clone()));
            Tensor::cat(vec![keys, self.value.forward(normed)], 1)
        } else {
            let maps = [&self.key, &self.value].map(|map| (map.weight.val(), map.bias()));
            project_pair(normed, maps, self.precision)
        };
        match &sight.reach.rotary {
            Some(rotary) => {
                let [_, width] = packed.dims();
                rotate(packed, rotary, width / 2, &sight.input.rows)
            }
            None => packed,
        }
    }

    /// Queries or keys `[rows, hidden]` with every head divided by the root of its mean square,
    /// where they are normalised.
    fn normalise_heads(&self, x: Tensor<2>) -> Tensor<2> {
        let Some(epsilon) = self.query_key_norm else { return x };
        let [rows, hidden] = x.dims();
        let width = hidden / self.heads;
        let ones = Tensor::ones([width], &x.device());
        rms_norm(x.reshape([rows * self.heads, width]), ones, epsilon).reshape([rows, hidden])
    }
}

/// The position-wise feed-forward network and its norm.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `[hidden, feed_forward]`, before the activation.
    pub inner: Linear,
    /// `[hidden, feed_forward]`, what the activated half is multiplied by, in gated networks.
    pub gate: Option<Linear>,
    /// `[feed_forward, hidden]`
    pub outer: Linear,
    /// After the residual sum (post-LN) or before the network (pre-LN).
    pub norm: Norm,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    precision: Precision,
    #[module(skip)]
    residual: Residual,
}

impl FeedForward {
    /// New weights.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let (hidden, wide) = (config.hidden, config.feed_forward);
        let gated = config.feed_forward_gate;
        Self {
            inner: config.linear(hidden, wide, rng, device),
            gate: gated.then(|| config.linear(hidden, wide, rng, device)),
            outer: config.output_linear(wide, rng, device),
            norm: config.new_norm(hidden, device),
            activation: config.activation,
            precision: config.precision,
            residual: Residual::new(config),
        }
    }

    /// `[rows, hidden]` to the same.
    pub fn forward(&self, x: Tensor<2>, rows: &Rows, noise: Option<&mut Noise>) -> Tensor<2> {
        let norm = Some(&self.norm);
        let wide = self.wide(self.residual.before(norm, x.clone()));
        self.residual.after(norm, x, &self.outer, wide, rows, noise)
    }

    /// `[rows, hidden]` to `[rows, feed_forward]`.
    fn wide(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.gate {
            Some(linear) => {
                let maps = [&self.inner, linear].map(|map| (map.weight.val(), map.bias()));
                gate(self.activation, project_pair(x, maps, self.precision))
            }
            None => activate(self.activation, self.inner.project(x), self.inner.bias()),
        }
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

    fn before(&self, norm: Option<&Norm>, x: Tensor<2>) -> Tensor<2> {
        match (self.placement, norm) {
            (NormPlacement::Pre, Some(norm)) => norm.forward(x),
            _ => x,
        }
    }

    /// Adds what `last` makes of `inner` to `x`; with post-LN the sum is normalised.
    fn after(
        &self,
        norm: Option<&Norm>,
        x: Tensor<2>,
        last: &Linear,
        inner: Tensor<2>,
        rows: &Rows,
        noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let (added, bias) = (last.project(inner), last.bias());
        let mask = Mask::draw(noise, self.dropout, rows);
        match (self.placement, norm) {
            (NormPlacement::Post, Some(norm)) => norm.of_sum(x, added, bias, mask),
            _ => add_residual(x, added, bias, mask),
        }
    }
}
