//! Shape and behaviour of the encoder.

use burn::tensor::Device;
use kernels::{Activation, Precision};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::layers::Linear;
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
    /// Longest sequence, special tokens included. BERT: 512.
    pub positions: usize,
    /// Rows of the position table before the first used one. BERT: 0; RoBERTa: 2.
    pub position_offset: usize,
    /// Segment kinds. BERT: 2; RoBERTa: 1; DistilBERT: 0, which is no table at all.
    pub segments: usize,
    /// Non-linearity of the feed-forward networks and of the head.
    pub activation: Activation,
    /// Where a layer normalises.
    pub norm: NormPlacement,
    /// Added to the variance in layer normalisation. BERT, ALBERT, ELECTRA: 1e-12; RoBERTa: 1e-5.
    pub norm_epsilon: f64,
    /// Dropout of embeddings and of what each sublayer adds. BERT: 0.1.
    pub dropout: f64,
    /// Dropout of attention weights. BERT: 0.1.
    pub attention_dropout: f64,
    /// Which layers share their weights.
    pub sharing: Sharing,
    /// Standard deviation of the normal distribution, cut at two deviations, from which weights are
    /// drawn. BERT: 0.02.
    pub initializer_range: f64,
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
            positions: 512,
            position_offset: 0,
            segments: 2,
            activation: Activation::Gelu,
            norm: NormPlacement::Post,
            norm_epsilon: 1e-12,
            dropout: 0.1,
            attention_dropout: 0.1,
            sharing: Sharing::None,
            initializer_range: 0.02,
            gradient_checkpointing: false,
            precision: Precision::F32,
        }
    }
}

/// A value that no encoder can be built from.
#[derive(Debug, thiserror::Error)]
#[error("encoder.{field} = {value}: {reason}")]
pub struct ConfigError {
    field: &'static str,
    value: String,
    reason: String,
}

impl EncoderConfig {
    /// A new map with the encoder's range of weights and precision.
    pub fn linear(
        &self,
        input: usize,
        output: usize,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> Linear {
        Linear::init(input, output, self.initializer_range, rng, device)
            .with_precision(self.precision)
    }

    /// Width of the embedding tables.
    pub fn embedding_width(&self) -> usize {
        if self.embedding == 0 { self.hidden } else { self.embedding }
    }

    /// How many numbers the tables and the layers' matrices hold.
    pub fn weights(&self) -> f64 {
        let (hidden, inner) = (self.hidden as f64, self.feed_forward as f64);
        let (attention, feed_forward) = self.sharing.distinct(self.layers);
        let rows = self.vocabulary as f64 + self.positions as f64 + self.segments as f64;
        let layers =
            attention as f64 * 4.0 * hidden * hidden + feed_forward as f64 * 2.0 * hidden * inner;
        rows * self.embedding_width() as f64 + layers
    }

    /// Whether a linear map stands between embeddings and layers.
    pub fn projects(&self) -> bool {
        self.embedding_projection == EmbeddingProjection::Always
            || self.embedding_width() != self.hidden
    }

    /// Checks that the values fit together.
    ///
    /// # Errors
    /// Names the first field that cannot be, its value, and what it should be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let error = |field, value: &dyn ToString, reason: &str| {
            Err(ConfigError { field, value: value.to_string(), reason: reason.to_owned() })
        };
        for (field, value) in [
            ("hidden", self.hidden),
            ("layers", self.layers),
            ("heads", self.heads),
            ("feed_forward", self.feed_forward),
        ] {
            if value == 0 {
                return error(field, &value, "must be at least 1");
            }
        }

        if !self.hidden.is_multiple_of(self.heads) {
            return error(
                "heads",
                &self.heads,
                &format!("must divide encoder.hidden = {}", self.hidden),
            );
        }
        if self.heads > 256 {
            return error("heads", &self.heads, "must be at most 256");
        }

        if !(2..=4096).contains(&self.positions) {
            return error("positions", &self.positions, "must be between 2 and 4096");
        }

        for (field, rate) in
            [("dropout", self.dropout), ("attention_dropout", self.attention_dropout)]
        {
            if !(0.0..1.0).contains(&rate) {
                return error(field, &rate, "must be at least 0 and below 1");
            }
        }

        if !(self.norm_epsilon > 0.0 && self.norm_epsilon < 1.0) {
            return error("norm_epsilon", &self.norm_epsilon, "must be above 0 and below 1");
        }
        if !(self.initializer_range > 0.0 && self.initializer_range <= 1.0) {
            return error(
                "initializer_range",
                &self.initializer_range,
                "must be above 0 and at most 1",
            );
        }

        match self.sharing_fault() {
            Some(reason) => error("sharing", &self.sharing, &reason),
            None => Ok(()),
        }
    }

    /// Why the layers cannot be shared as they should.
    fn sharing_fault(&self) -> Option<String> {
        let Sharing::Groups { groups, inner } = self.sharing else { return None };
        let are_whole_sets = inner > 0 && self.layers.is_multiple_of(inner);
        let fits = are_whole_sets && (1..=self.layers / inner).contains(&groups);
        let layers = self.layers;
        (!fits).then(|| {
            format!("{layers} layers must be a whole number of sets, and no fewer than the groups")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_each_wrong_value_is_named() {
        EncoderConfig::default().validate().expect("the default is valid");
        let message = |change: fn(&mut EncoderConfig)| {
            let mut config = EncoderConfig::default();
            change(&mut config);
            config.validate().expect_err("invalid").to_string()
        };
        assert_eq!(message(|c| c.heads = 3), "encoder.heads = 3: must divide encoder.hidden = 128");
        assert_eq!(message(|c| c.layers = 0), "encoder.layers = 0: must be at least 1");
        assert_eq!(
            message(|c| c.dropout = 1.0),
            "encoder.dropout = 1: must be at least 0 and below 1"
        );
        assert!(
            message(|c| c.sharing = Sharing::Groups { groups: 5, inner: 1 })
                .starts_with("encoder.sharing = groups:5")
        );
        assert!(message(|c| c.norm_epsilon = f64::NAN).starts_with("encoder.norm_epsilon"));
    }

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
}
