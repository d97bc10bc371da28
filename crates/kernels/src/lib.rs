//! Operations of the encoder, one plain function each.
//!
//! On burn's CPU backend every function runs a forward and a backward pass written by hand, on the
//! slices of its tensors; on every other backend it is ordinary tensor code ([`composed`]), which
//! gives the same numbers. Rows are kept flat: a hidden state is `[rows, width]`, so that a linear
//! layer is one matrix product instead of one per sequence. On the CPU the rows are the tokens of
//! sequences of any length one after another, without padding ([`Rows`]), and a layer can be
//! computed for some of them only; elsewhere they are a rectangle of padded sequences. Dropout
//! takes its randomness as an argument ([`Noise`]) and draws the same mask on every backend, for
//! any number of threads, for any split of the batch into micro-batches and for any amount of
//! padding.
//!
//! Where we differ from common practice, and why: no attention weights, dropout masks or logits are
//! stored, because computing them again from what is in the cache costs less than sending them to
//! memory; the gradient of the output layer is computed with its loss, chunk by chunk, because the
//! loss is a weighted sum and its scale can be applied afterwards; sums run over a fixed number of
//! parts, so that results do not depend on the number of threads.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use kernels::{Norm, layer_norm};
//!
//! let device = Device::flex();
//! let x = Tensor::<2>::from_floats([[1.0, 3.0]], &device);
//! let (gamma, beta) = (Tensor::ones([2], &device), Tensor::zeros([2], &device));
//! let norm = Norm { gamma, beta, epsilon: 1e-12 };
//! let normalised: Vec<f32> = layer_norm(x, norm).into_data().iter::<f32>().collect();
//! assert!((normalised[0] + 1.0).abs() < 1e-6 && (normalised[1] - 1.0).abs() < 1e-6);
//! ```

mod activation;
mod attention;
pub mod composed;
mod cpu;
mod divergence;
mod dropout;
mod embedding;
mod flex;
mod gate;
mod linear;
mod loss;
mod lstm;
mod muon;
mod noise;
mod norm;
mod optimizer;
mod output;
mod precision;
mod rms;
mod rotary;
mod rows;
mod rule;
mod softmax;
#[cfg(test)]
mod testing;
mod visibility;
mod vocabulary;

pub use activation::activate;
pub use attention::{Attention, attention, attention_scores, padding_bias};
pub use cpu::activation::Activation;
pub use cpu::adam::AdamStep;
pub use cpu::divergence::Measure;
pub use cpu::dropout::Mask;
pub use cpu::embedding::Lookup;
pub use cpu::lstm::Direction;
pub use cpu::muon::MuonStep;
pub use cpu::rotary::Rotary;
pub use cpu::vocabulary::{Sampling, Targets};
pub use divergence::vocabulary_distance;
pub use dropout::{add_residual, dropout};
pub use embedding::{embed, gather};
pub use flex::is_fused;
pub use gate::gate;
pub use linear::{linear, project, project_pair};
pub use loss::cross_entropy;
pub use lstm::lstm;
pub use muon::{MuonMatrix, muon};
pub use noise::Noise;
pub use norm::{Norm, add_normalise, layer_norm};
pub use optimizer::{Moments, adadelta, adamw, interpolate, lamb, square_sum, sum};
pub use output::OutputLayer;
pub use precision::Precision;
pub use rms::rms_norm;
pub use rotary::rotate;
pub use rows::Rows;
pub use softmax::softmax;
pub use visibility::{Visibility, document_start};
pub use vocabulary::{
    Scores, vocabulary_loss, vocabulary_loss_and_hits, vocabulary_sample, vocabulary_scores,
};
