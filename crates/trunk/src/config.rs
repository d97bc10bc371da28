//! Shape and behaviour of the encoder.

use burn::tensor::Device;
use kernels::{Activation, Precision};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::linear::Linear;
use crate::norm::{Norm, NormKind};
use crate::sharing::Sharing;

/// Where a layer normalises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormPlacement {
    /// After the residual sum, as in BERT.
    #[default]
    Post,
    /// Before attention and feed-forward, with one more norm after the last layer.
    Pre,
}

/// How the model knows where a token stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PositionEmbedding {
    /// By a table whose rows are added to the embeddings, as in BERT.
    #[default]
    Absolute,
    /// By the rotation of queries and keys (Su et al. 2021).
    Rotary,
}

/// How the maps that write into the residual stream start: attention's output and the feed-forward
/// network's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputInit {
    /// As all other weights do.
    #[default]
    Normal,
    /// At zero: a new layer is the identity.
    Zero,
    /// With the standard deviation divided by the root of twice the number of layers (GPT-2,
    /// ModernBERT).
    DepthScaled,
}

/// When a linear map stands between embeddings and layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmbeddingProjection {
    /// When their widths differ, as in the authors' ALBERT and ELECTRA.
    #[default]
    Auto,
    /// Always, as in Hugging Face's ALBERT.
    Always,
}

/// Shape and behaviour of the encoder; the `[encoder]` table of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderConfig {
    /// Rows of the token table; 0 takes the tokenizer's size. BERT: 30,522.
    pub vocabulary: usize,
    /// Width of the hidden states. BERT-base: 768.
    pub hidden: usize,
    /// Width of the embedding tables; 0 means `hidden`. ALBERT: 128.
    pub embedding: usize,
    /// When a linear map stands between embeddings and layers.
    pub embedding_projection: EmbeddingProjection,
    /// Number of layers. BERT-base: 12.
    pub layers: usize,
    /// Attention heads; they must divide `hidden`. BERT-base: 12.
    pub heads: usize,
    /// Width inside the feed-forward network. BERT-base: 3,072.
    pub feed_forward: usize,
    /// Multiply the activated half of the feed-forward network by a second, linear one: GeGLU with
    /// `gelu`, SwiGLU with `silu` (Shazeer 2020). ModernBERT: true.
    pub feed_forward_gate: bool,
    /// Longest sequence, special tokens included. BERT: 512.
    pub positions: usize,
    /// How the model knows where a token stands. ModernBERT: rotary.
    pub position_embedding: PositionEmbedding,
    /// Base of the rotary angles in layers of global attention. RoFormer: 10,000; ModernBERT:
    /// 160,000.
    pub rotary_base: f64,
    /// Base of the rotary angles in layers of local attention. ModernBERT: 10,000.
    pub local_rotary_base: f64,
    /// Width of the window in layers of local attention: a token sees half of it to each side. 0:
    /// every layer sees the whole sequence. ModernBERT: 128.
    pub local_attention: usize,
    /// Of how many layers one has global attention, beginning with the first, where the others are
    /// local. ModernBERT: 3.
    pub global_attention_every: usize,
    /// Rows of the position table before the first used one. BERT: 0; RoBERTa: 2.
    pub position_offset: usize,
    /// Segment kinds. BERT: 2; RoBERTa: 1; DistilBERT: 0, which is no table at all.
    pub segments: usize,
    /// Non-linearity of the feed-forward networks and of the head.
    pub activation: Activation,
    /// Where a layer normalises.
    pub norm: NormPlacement,
    /// What a norm divides by.
    pub norm_kind: NormKind,
    /// Whether layer norms add a bias. ModernBERT: false.
    pub norm_bias: bool,
    /// Added to the variance in layer normalisation. BERT, ALBERT, ELECTRA: 1e-12; RoBERTa, ModernBERT:
    /// 1e-5.
    pub norm_epsilon: f64,
    /// Normalise the embeddings.
    pub embedding_norm: bool,
    /// With `norm = "pre"`: normalise before the first attention too. ModernBERT, whose embeddings
    /// are normalised already: false.
    pub first_norm: bool,
    /// With `norm = "pre"`: normalise after the last layer.
    pub final_norm: bool,
    /// Whether the linear maps of layers and the dense layers of heads over the vocabulary add a
    /// bias. ModernBERT: false.
    pub bias: bool,
    /// Divide every head's queries and keys by the root of their mean square (Henry et al. 2020,
    /// without its learnt scale).
    pub query_key_norm: bool,
    /// Multiply what attention gathers by a gelu of a linear map of the token that asks (GPT-BERT).
    pub attention_gate: bool,
    /// Dropout of embeddings and of what each sublayer adds. BERT: 0.1.
    pub dropout: f64,
    /// Dropout of attention weights. BERT: 0.1.
    pub attention_dropout: f64,
    /// Which layers share their weights.
    pub sharing: Sharing,
    /// Standard deviation of the normal distribution, cut at two deviations, from which weights are
    /// drawn. BERT: 0.02.
    pub initializer_range: f64,
    /// How the maps that write into the residual stream start.
    pub output_init: OutputInit,
    /// Recompute cheap activations in the backward pass instead of keeping them: less memory, more
    /// time.
    pub gradient_checkpointing: bool,
    /// What the factors of matrix products are rounded to: f32 or bf16, which is faster on the CPUs
    /// that have it.
    pub precision: Precision,
}

impl Default for EncoderConfig {
    /// The published "tiny" size of BERT: 2 layers of width 128.
    fn default() -> Self {
        Self {
            vocabulary: 0,
            hidden: 128,
            embedding: 0,
            embedding_projection: EmbeddingProjection::Auto,
            layers: 2,
            heads: 2,
            feed_forward: 512,
            feed_forward_gate: false,
            positions: 512,
            position_embedding: PositionEmbedding::Absolute,
            rotary_base: 10_000.0,
            local_rotary_base: 10_000.0,
            local_attention: 0,
            global_attention_every: 3,
            position_offset: 0,
            segments: 2,
            activation: Activation::Gelu,
            norm: NormPlacement::Post,
            norm_kind: NormKind::Layer,
            norm_bias: true,
            norm_epsilon: 1e-12,
            embedding_norm: true,
            first_norm: true,
            final_norm: true,
            bias: true,
            query_key_norm: false,
            attention_gate: false,
            dropout: 0.1,
            attention_dropout: 0.1,
            sharing: Sharing::None,
            initializer_range: 0.02,
            output_init: OutputInit::Normal,
            gradient_checkpointing: false,
            precision: Precision::F32,
        }
    }
}

impl EncoderConfig {
    /// A new map with the encoder's range of weights and precision, and a bias where the encoder's
    /// maps have one.
    pub fn linear(
        &self,
        input: usize,
        output: usize,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Linear {
        self.map(input, output, self.initializer_range, rng, device)
    }

    /// A new map that writes into the residual stream, see [`OutputInit`].
    pub(crate) fn output_linear(
        &self,
        input: usize,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Linear {
        let std = match self.output_init {
            OutputInit::Normal => self.initializer_range,
            OutputInit::Zero => 0.0,
            OutputInit::DepthScaled => self.initializer_range / (2.0 * self.layers as f64).sqrt(),
        };
        self.map(input, self.hidden, std, rng, device)
    }

    /// A new norm of the encoder's kind.
    pub fn new_norm(&self, width: usize, device: &Device) -> Norm {
        let has_bias = self.norm_bias && self.norm_kind == NormKind::Layer;
        Norm::init(self.norm_kind, width, has_bias, self.norm_epsilon, device)
    }

    fn map(
        &self,
        input: usize,
        output: usize,
        std: f64,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Linear {
        let linear = Linear::init(input, output, std, rng, device).with_precision(self.precision);
        if self.bias { linear } else { linear.without_bias() }
    }

    /// Width of the embedding tables.
    pub fn embedding_width(&self) -> usize {
        if self.embedding == 0 { self.hidden } else { self.embedding }
    }

    /// How many numbers the tables and the layers' matrices hold.
    pub fn weights(&self) -> f64 {
        let (attention, feed_forward) = self.sharing.distinct(self.layers);
        let position_rows = match self.position_embedding {
            PositionEmbedding::Absolute => self.position_offset + self.positions,
            PositionEmbedding::Rotary => 0,
        };
        let rows = self.vocabulary + position_rows + self.segments;
        let layers = attention as f64 * self.attention_weights()
            + feed_forward as f64 * self.feed_forward_weights();
        (rows * self.embedding_width()) as f64 + layers
    }

    /// How many numbers the matrices of an attention sublayer hold.
    pub(crate) fn attention_weights(&self) -> f64 {
        let matrices = if self.attention_gate { 5.0 } else { 4.0 };
        matrices * (self.hidden as f64).powi(2)
    }

    /// How many numbers the matrices of a feed-forward sublayer hold.
    pub(crate) fn feed_forward_weights(&self) -> f64 {
        let matrices = if self.feed_forward_gate { 3.0 } else { 2.0 };
        matrices * (self.hidden * self.feed_forward) as f64
    }

    /// Whether a linear map stands between embeddings and layers.
    pub fn projects(&self) -> bool {
        self.embedding_projection == EmbeddingProjection::Always
            || self.embedding_width() != self.hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bert_base_needs_the_operations_that_are_known_for_it() {
        let base = EncoderConfig {
            hidden: 768,
            layers: 12,
            heads: 12,
            feed_forward: 3072,
            ..EncoderConfig::default()
        };
        // 12 * (8 * 768^2 + 4 * 768 * 3072 + 4 * 512 * 768) by hand.
        assert_eq!(base.flops_per_token(512), 188_743_680.0);
    }

    #[test]
    fn a_gate_costs_a_matrix_and_a_window_saves_attention() {
        let modern = EncoderConfig {
            hidden: 768,
            layers: 22,
            heads: 12,
            feed_forward: 1152,
            feed_forward_gate: true,
            local_attention: 128,
            ..EncoderConfig::default()
        };
        // 8 layers see 512 tokens, 14 see 129.
        let products = 22.0 * (8.0 * 768.0 * 768.0 + 6.0 * 768.0 * 1152.0);
        let attention = 4.0 * 768.0 * (8.0 * 512.0 + 14.0 * 129.0);
        assert_eq!(modern.flops_per_token(512), products + attention);
        // 150 million with the tables of 50,368 tokens; the norms are not counted.
        let base = EncoderConfig {
            vocabulary: 50_368,
            segments: 0,
            position_embedding: PositionEmbedding::Rotary,
            ..modern
        };
        assert_eq!(base.weights(), 148_979_712.0);
    }
}
