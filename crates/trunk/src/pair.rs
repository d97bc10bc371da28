//! The head over a pair of segments.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use crate::config::EncoderConfig;
use crate::linear::Linear;

/// BERT's pooler, `tanh(x W + b)` of the first token's hidden state, and a classifier of two
/// classes (`modeling.py` and `get_next_sentence_output` in `run_pretraining.py`).
#[derive(Module, Debug)]
pub struct PairHead {
    /// `[hidden, hidden]`
    pub pooler: Linear,
    /// `[hidden, 2]`
    pub classifier: Linear,
}

impl PairHead {
    /// New weights, biases 0.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let (hidden, std) = (config.hidden, config.initializer_range);
        Self {
            pooler: Linear::init(hidden, hidden, std, rng, device),
            classifier: Linear::init(hidden, 2, std, rng, device),
        }
    }

    /// Logits `[n, 2]` given the hidden states `[n, hidden]` of the first tokens.
    pub fn forward(&self, first: Tensor<2>) -> Tensor<2> {
        self.classifier.forward(self.pooler.forward(first).tanh())
    }
}
