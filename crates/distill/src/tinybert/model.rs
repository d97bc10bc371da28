//! The student as it is trained.

use burn::module::Module;
use trunk::{Encoder, Linear};

/// A student and its maps to the teacher's width.
#[derive(Module, Debug)]
pub struct TinybertModel {
    /// The encoder.
    pub encoder: Encoder,
    /// The map of hidden states, `[hidden, teacher's hidden]`.
    pub fit: Linear,
    /// The map of embeddings, of the same shape; none where both share one.
    pub fit_embeddings: Option<Linear>,
}
