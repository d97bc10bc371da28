//! The encoder all objectives share: embeddings, attention, layers and the heads that several of
//! them use.
//!
//! A Transformer encoder (Vaswani et al. 2017) as BERT (Devlin et al. 2019) arranges it: the sum of
//! token, position and segment embeddings is normalised, then every layer adds attention and a
//! feed-forward network, each followed by (post-LN) or preceded by (pre-LN) layer normalisation.
//! ALBERT's factorised embeddings (Lan et al. 2020, section 3.1) and its ways of sharing layers are
//! options of [`EncoderConfig`]; so are RoBERTa's position numbering, the two forms of GELU, and the
//! parts of ModernBERT (Warner et al. 2024): rotary positions, gated feed-forward networks, layers
//! of local attention, and maps and norms without biases.
//!
//! Differences from the authors' code: hidden states are flat rows `[batch * len, width]`; weights
//! are drawn on the host from a generator given by the caller, so that a seed means the same
//! weights on every backend; sharing of attention or feed-forward alone, which ALBERT's paper
//! measures and its release lacks, is here.
//!
//! ```
//! use burn::tensor::Device;
//! use rand::SeedableRng;
//! use rand_chacha::ChaCha8Rng;
//! use trunk::{Encoder, EncoderConfig, Sequences};
//!
//! let config = EncoderConfig { vocabulary: 50, ..EncoderConfig::default() };
//! let (device, mut rng) = (Device::flex(), ChaCha8Rng::seed_from_u64(1));
//! let encoder = Encoder::init(&config, &mut rng, &device);
//! let sequences = Sequences::pad(&[vec![2, 7, 9, 3], vec![2, 3]], 0);
//! let hidden = encoder.forward(&sequences.input(&device), None);
//! // On the CPU the padding of the shorter sequence has no rows.
//! assert_eq!(hidden.dims(), [6, config.hidden]);
//! ```

mod block;
mod config;
mod embeddings;
mod encoder;
mod flops;
mod head;
mod init;
mod input;
mod linear;
mod norm;
mod pair;
mod reach;
mod sharing;
mod stack;
mod validate;

pub use block::{AttentionBlock, FeedForward};
pub use config::{
    EmbeddingProjection, EncoderConfig, NormPlacement, OutputInit, PositionEmbedding,
};
pub use embeddings::{Embeddings, PositionEmbeddings, token_table};
pub use encoder::Encoder;
pub use flops::{encoder_flops, head_flops, pair_flops};
pub use head::{MlmHead, Predicted};
pub use init::{as_parameter, constant, truncated_normal};
pub use input::{EncoderInput, Sequences, indices, union};
pub use kernels::{Activation, Noise, Precision};
pub use linear::Linear;
pub use norm::{Norm, NormKind};
pub use pair::PairHead;
pub use sharing::Sharing;
pub use stack::{Stack, Trace};
pub use validate::ConfigError;
