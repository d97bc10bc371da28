//! A long short-term memory that reads from both ends.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kernels::{Direction, gather, lstm};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderInput, Linear, Sequences, truncated_normal};

/// A long short-term memory of one direction.
#[derive(Module, Debug)]
pub struct Reader {
    /// The map of the inputs of all four gates, `[embedding, 4 * width]`.
    pub input: Linear,
    /// The map of the previous hidden state, `[width, 4 * width]`.
    pub recurrent: Param<Tensor<2>>,
}

/// A long short-term memory of both directions.
#[derive(Module, Debug)]
pub struct Bilstm {
    /// Reads from the first token on.
    pub forward: Reader,
    /// Reads from the last token on.
    pub backward: Reader,
}

impl Reader {
    /// New weights with the standard deviation of PyTorch's, which are uniform within
    /// 1 / sqrt(width).
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
        let row_of =
            |sequence: usize, position: usize| input.row((sequence * len + position) as u32);
        let firsts = (0..lengths.len()).map(|sequence| row_of(sequence, 0)).collect();
        let lasts = lengths.iter().enumerate();
        let lasts = lasts.map(|(sequence, length)| row_of(sequence, length - 1)).collect();

        let forward = self.forward.read(x.clone(), input, lengths, Direction::Forward);
        let backward = self.backward.read(x, input, lengths, Direction::Backward);
        Tensor::cat(vec![gather(forward, lasts), gather(backward, firsts)], 1)
    }
}
