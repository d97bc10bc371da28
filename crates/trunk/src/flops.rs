//! Floating-point operations of forward passes: a multiplication and an addition count as two.
//! Embedding look-ups, norms and activations are left out, as in ELECTRA's count of matrix products.

use crate::config::EncoderConfig;
use crate::input::Sequences;

impl EncoderConfig {
    /// Floating-point operations of one forward pass of the layers over one token of a sequence of
    /// `len` tokens.
    pub fn flops_per_token(&self, len: usize) -> f64 {
        let h = self.hidden as f64;
        let products = 2.0 * (self.attention_weights() + self.feed_forward_weights());
        let seen = |layer| match self.window(layer) {
            Some(window) => len.min(2 * window + 1),
            None => len,
        };
        let attention: usize = (0..self.layers).map(seen).sum();
        let projection =
            if self.projects() { 2.0 * self.embedding_width() as f64 * h } else { 0.0 };
        self.layers as f64 * products + 4.0 * attention as f64 * h + projection
    }
}

/// Floating-point operations of the layers over `sequences`.
pub fn encoder_flops(encoder: &EncoderConfig, sequences: &Sequences) -> f64 {
    let of_document = |len: usize| len as f64 * encoder.flops_per_token(len);
    (0..sequences.batch()).flat_map(|row| sequences.document_lengths(row)).map(of_document).sum()
}

/// Floating-point operations of a masked-language-model head over `targets` positions.
pub fn head_flops(encoder: &EncoderConfig, targets: usize) -> f64 {
    let width = encoder.embedding_width() as f64;
    targets as f64 * 2.0 * width * (encoder.hidden as f64 + encoder.vocabulary as f64)
}

/// Floating-point operations of a pair head over `rows` sequences.
pub fn pair_flops(encoder: &EncoderConfig, rows: usize) -> f64 {
    rows as f64 * 2.0 * encoder.hidden as f64 * (encoder.hidden as f64 + 2.0)
}
