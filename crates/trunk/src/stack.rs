//! The layers, without embeddings.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use kernels::{Noise, Rows, gather};
use rand_chacha::ChaCha8Rng;

use crate::block::{AttentionBlock, FeedForward, Sight};
use crate::config::{EncoderConfig, NormPlacement};
use crate::input::EncoderInput;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::reach::Reaches;
use crate::sharing::Sharing;

/// Layers that may share their weights, after a projection where the embeddings are narrower or
/// wider than the hidden states (ALBERT's factorisation, ELECTRA's generator; the norm of the
/// embeddings stands before it, as in the authors' code).
#[derive(Module, Debug)]
pub struct Stack {
    /// From embedding to hidden width, see [`EncoderConfig::projects`].
    pub projection: Option<Linear>,
    /// The distinct attention sublayers.
    pub attention: Vec<AttentionBlock>,
    /// The distinct feed-forward sublayers.
    pub feed_forward: Vec<FeedForward>,
    /// After the last layer, with pre-LN.
    pub final_norm: Option<Norm>,
    #[module(skip)]
    layers: usize,
    #[module(skip)]
    sharing: Sharing,
    #[module(skip)]
    reaches: Reaches,
}

/// What happens inside a stack.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What the first layer takes and what each layer gives, the last one normalised with pre-LN:
    /// one more than there are layers, each `[rows, hidden]`.
    pub states: Vec<Tensor<2>>,
    /// The scores of attention before their softmax, layer by layer, as
    /// [`kernels::attention_scores`] has them.
    pub scores: Vec<Tensor<1>>,
}

impl Stack {
    /// New weights from `rng`; `config` must be valid.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let (width, hidden) = (config.embedding_width(), config.hidden);
        let (attention, feed_forward) = config.sharing.distinct(config.layers);
        Self {
            projection: config.projects().then(|| config.linear(width, hidden, rng, device)),
            attention: (0..attention)
                .map(|layer| AttentionBlock::init(config, layer == 0, rng, device))
                .collect(),
            feed_forward: (0..feed_forward)
                .map(|_| FeedForward::init(config, rng, device))
                .collect(),
            final_norm: (config.norm == NormPlacement::Pre && config.final_norm)
                .then(|| config.new_norm(hidden, device)),
            layers: config.layers,
            sharing: config.sharing,
            reaches: Reaches::new(config),
        }
    }

    /// The last hidden states of all rows, `[rows, hidden]`, given the embedded tokens `[rows,
    /// embedding]`.
    pub fn forward(
        &self,
        x: Tensor<2>,
        input: &EncoderInput,
        noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        self.run(x, input, None, noise)
    }

    /// The rows of [`Stack::forward`] at `positions` (sequence * len + position, ascending), `[n,
    /// hidden]`. Where the device computes rows of any length, the last layer leaves out the
    /// queries and the feed-forward network of all other rows, which nobody looks at.
    pub fn forward_at(
        &self,
        x: Tensor<2>,
        input: &EncoderInput,
        positions: &[u32],
        noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let (indices, rows) = input.select(positions);
        if kernels::is_fused(&x.device()) {
            self.run(x, input, Some((&indices, &rows)), noise)
        } else {
            gather(self.run(x, input, None, noise), indices)
        }
    }

    /// Everything that a layer-by-layer comparison looks at.
    pub fn trace(
        &self,
        x: Tensor<2>,
        input: &EncoderInput,
        mut noise: Option<&mut Noise>,
    ) -> Trace {
        let mut trace = Trace { states: vec![self.project(x)], scores: Vec::new() };
        for layer in 0..self.layers {
            let x = trace.states[layer].clone();
            let x =
                self.layer(layer, x, input, None, Some(&mut trace.scores), noise.as_deref_mut());
            trace.states.push(x);
        }
        let last = trace.states.pop().map(|x| self.normalise(x));
        trace.states.extend(last);
        trace
    }

    fn run(
        &self,
        x: Tensor<2>,
        input: &EncoderInput,
        at: Option<(&[u32], &Rows)>,
        mut noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let mut x = self.project(x);
        for layer in 0..self.layers {
            let at = at.filter(|_| layer + 1 == self.layers);
            x = self.layer(layer, x, input, at, None, noise.as_deref_mut());
        }
        self.normalise(x)
    }

    fn layer(
        &self,
        layer: usize,
        x: Tensor<2>,
        input: &EncoderInput,
        at: Option<(&[u32], &Rows)>,
        scores: Option<&mut Vec<Tensor<1>>>,
        mut noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let (attention, feed_forward) = self.sharing.of(layer, self.layers);
        let sight = Sight { input, reach: self.reaches.of(layer), at };
        let x = self.attention[attention].forward(x, sight, scores, noise.as_deref_mut());
        self.feed_forward[feed_forward].forward(x, sight.rows(), noise)
    }

    fn project(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.projection {
            Some(projection) => projection.forward(x),
            None => x,
        }
    }

    fn normalise(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.final_norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }
}
