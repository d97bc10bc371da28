//! A long short-term memory that reads from both ends.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::{Direction, gather, lstm};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderInput, Linear, Sequences, truncated_normal};

/// One direction.
#[derive(Module, Debug)]
pub struct Reader {
    /// `[embedding, 4 * width]`
    pub input: Linear,
    /// `[width, 4 * width]`
    pub recurrent: Param<Tensor<2>>,
}

/// Both directions.
#[derive(Module, Debug)]
pub struct Bilstm {
    /// From the first token on.
    pub forward: Reader,
    /// From the last token on.
    pub backward: Reader,
}

impl Reader {
    /// New weights with the deviation of PyTorch's, uniform within 1 / sqrt(width).
    fn init(embedding: usize, width: usize, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let std = 1.0 / (3.0 * width as f64).sqrt();
        Self {
            input: Linear::init(embedding, 4 * width, std, rng, device),
            recurrent: truncated_normal([width, 4 * width], std, rng, device),
        }
    }

    fn read(
        &self,
        x: Tensor<2>,
        input: &EncoderInput,
        lengths: &[usize],
        direction: Direction,
    ) -> Tensor<2> {
        lstm(self.input.forward(x), self.recurrent.val(), &input.rows, lengths, direction)
    }
}

impl Bilstm {
    /// New weights.
    pub fn init(embedding: usize, width: usize, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let mut reader = || Reader::init(embedding, width, rng, device);
        Self { forward: reader(), backward: reader() }
    }

    /// The last states of both directions side by side, `[batch, 2 * width]`, given the embedded
    /// tokens `[rows, embedding]` of sequences that all have some.
    pub fn read(&self, x: Tensor<2>, input: &EncoderInput, sequences: &Sequences) -> Tensor<2> {
        let Sequences { len, lengths, .. } = sequences;
        let ends = |end: &dyn Fn(usize) -> usize| -> Vec<u32> {
            lengths
                .iter()
                .enumerate()
                .map(|(row, length)| input.row((row * len + end(*length)) as u32))
                .collect()
        };
        let forward = self.forward.read(x.clone(), input, lengths, Direction::Forward);
        let backward = self.backward.read(x, input, lengths, Direction::Backward);
        Tensor::cat(
            vec![gather(forward, ends(&|length| length - 1)), gather(backward, ends(&|_| 0))],
            1,
        )
    }
}
