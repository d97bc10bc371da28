//! Embeddings and layers, put together.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use kernels::Noise;
use rand_chacha::ChaCha8Rng;

use crate::config::EncoderConfig;
use crate::embeddings::Embeddings;
use crate::input::EncoderInput;
use crate::stack::{Stack, Trace};

/// The encoder. Embeddings and layers are apart for objectives that share the tables between two
/// stacks.
#[derive(Module, Debug)]
pub struct Encoder {
    /// The tables.
    pub embeddings: Embeddings,
    /// The layers.
    pub stack: Stack,
}

impl Encoder {
    /// New weights from `rng`; `config` must be valid and its vocabulary known.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        Self {
            embeddings: Embeddings::init(config, rng, device),
            stack: Stack::init(config, rng, device),
        }
    }

    /// The last hidden states of all rows, `[rows, hidden]`. With `noise`, dropout is on.
    pub fn forward(&self, input: &EncoderInput, mut noise: Option<&mut Noise>) -> Tensor<2> {
        let x = self.embeddings.forward(input, noise.as_deref_mut());
        self.stack.forward(x, input, noise)
    }

    /// The last hidden states at `positions` (sequence * len + position, ascending), `[n, hidden]`:
    /// see [`Stack::forward_at`].
    pub fn forward_at(
        &self,
        input: &EncoderInput,
        positions: &[u32],
        mut noise: Option<&mut Noise>,
    ) -> Tensor<2> {
        let x = self.embeddings.forward(input, noise.as_deref_mut());
        self.stack.forward_at(x, input, positions, noise)
    }

    /// See [`Stack::trace`].
    pub fn trace(&self, input: &EncoderInput, mut noise: Option<&mut Noise>) -> Trace {
        let x = self.embeddings.forward(input, noise.as_deref_mut());
        self.stack.trace(x, input, noise)
    }
}
