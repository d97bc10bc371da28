//! Filters over a few tokens and the largest value of each (Kim 2014).

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use kernels::gather;
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderInput, Linear, Sequences};

/// Numbers of tokens that the filters look at.
pub const WIDTHS: [usize; 3] = [3, 4, 5];

/// The filters of each width, `[width * embedding, filters]`.
#[derive(Module, Debug)]
pub struct TextCnn {
    /// In the order of [`WIDTHS`].
    pub filters: Vec<Linear>,
}

impl TextCnn {
    /// New weights.
    pub fn init(embedding: usize, filters: usize, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let filter = |width| {
            let inputs = width * embedding;
            Linear::init(inputs, filters, 1.0 / (3.0 * inputs as f64).sqrt(), rng, device)
        };
        Self { filters: WIDTHS.map(filter).into() }
    }

    /// The largest value of each filter in each sequence, `[batch, 3 * filters]`, given the
    /// embedded tokens `[rows, embedding]`. Zeros follow the end of a sequence.
    pub fn read(&self, x: Tensor<2>, input: &EncoderInput, sequences: &Sequences) -> Tensor<2> {
        let ([rows, embedding], device) = (x.dims(), x.device());
        let batch = sequences.lengths.len();
        // The row after the last one is zero.
        let zero = rows as u32;
        let x = Tensor::cat(vec![x, Tensor::zeros([1, embedding], &device)], 0);

        let maxima = self.filters.iter().zip(WIDTHS).map(|(filter, width)| {
            let windows = Windows { width, input, sequences, zero };
            let tokens = (0..width).map(|offset| gather(x.clone(), windows.rows(offset))).collect();
            let values = relu(filter.forward(Tensor::cat(tokens, 1)));
            let [_, filters] = values.dims();
            values.reshape([batch, windows.most(), filters]).max_dim(1).reshape([batch, filters])
        });
        Tensor::cat(maxima.collect(), 1)
    }
}

/// The windows of one width over the sequences of a batch, equally many in each.
struct Windows<'a> {
    width: usize,
    input: &'a EncoderInput,
    sequences: &'a Sequences,
    /// A row of zeros.
    zero: u32,
}

impl Windows<'_> {
    /// The number of windows over a sequence of `length` tokens.
    fn over(&self, length: usize) -> usize {
        length.saturating_sub(self.width) + 1
    }

    /// The number of windows over the longest sequence.
    fn most(&self) -> usize {
        self.sequences.lengths.iter().map(|length| self.over(*length)).max().unwrap_or(1)
    }

    /// The row of token `offset` of each window, sequence by sequence.
    fn rows(&self, offset: usize) -> Vec<u32> {
        let Sequences { len, lengths, .. } = self.sequences;
        let most = self.most();

        let mut rows = Vec::with_capacity(lengths.len() * most);
        for (row, length) in lengths.iter().enumerate() {
            for window in 0..most {
                // Shorter sequences repeat their last window, which changes no maximum.
                let position = window.min(self.over(*length) - 1) + offset;
                let is_real = position < *length;
                let flat = (row * len + position) as u32;
                rows.push(if is_real { self.input.row(flat) } else { self.zero });
            }
        }
        rows
    }
}
