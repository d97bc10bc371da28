//! Filters over a few tokens and the largest value of each (Kim 2014).

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use kernels::gather;
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderInput, Linear, Sequences};

/// Tokens that the filters look at.
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
    /// embedded tokens `[rows, embedding]`. Where a sequence ends, zeros follow.
    pub fn read(&self, x: Tensor<2>, input: &EncoderInput, sequences: &Sequences) -> Tensor<2> {
        let ([rows, embedding], device) = (x.dims(), x.device());
        let Sequences { len, lengths, .. } = sequences;
        let batch = lengths.len();
        // The row after the last one is zero.
        let x = Tensor::cat(vec![x, Tensor::zeros([1, embedding], &device)], 0);
        let found = self.filters.iter().zip(WIDTHS).map(|(filter, width)| {
            let windows = |length: usize| length.saturating_sub(width) + 1;
            let most = lengths.iter().map(|length| windows(*length)).max().unwrap_or(1);
            let token = |offset: usize| -> Vec<u32> {
                let of = |row: usize, window: usize| {
                    // Shorter sequences repeat their last window, which changes no maximum.
                    let position = window.min(windows(lengths[row]) - 1) + offset;
                    if position < lengths[row] {
                        input.row((row * len + position) as u32)
                    } else {
                        rows as u32
                    }
                };
                (0..batch).flat_map(|row| (0..most).map(move |window| of(row, window))).collect()
            };
            let window = (0..width).map(|offset| gather(x.clone(), token(offset))).collect();
            let values = relu(filter.forward(Tensor::cat(window, 1)));
            let [_, filters] = values.dims();
            values.reshape([batch, most, filters]).max_dim(1).reshape([batch, filters])
        });
        Tensor::cat(found.collect(), 1)
    }
}
