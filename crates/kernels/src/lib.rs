//! Operations of the encoder, one plain function each.
//!
//! Every function here is ordinary tensor code and runs on every backend. Rows are kept flat: a hidden state is
//! `[batch * len, width]`, so that a linear layer is one matrix product instead of one per sequence. Dropout takes its
//! randomness as an argument ([`Noise`]) and draws the same mask on every backend, for any number of threads, for any
//! split of the batch into micro-batches and for any amount of padding.

mod activation;
mod attention;
mod dropout;
mod linear;
mod loss;
mod noise;
mod norm;

pub use activation::{Activation, activate};
pub use attention::{Attention, attention};
pub use dropout::dropout;
pub use linear::linear;
pub use loss::cross_entropy;
pub use noise::Noise;
pub use norm::layer_norm;
