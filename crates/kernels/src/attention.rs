//! Scaled dot-product attention with several heads (Vaswani et al. 2017, section 3.2).

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use crate::dropout::dropout_weights;
use crate::noise::Noise;

/// What an attention layer needs besides queries, keys and values.
#[derive(Debug)]
pub struct Attention<'a> {
    /// Sequences in the batch.
    pub batch: usize,
    /// Heads; they split the width evenly.
    pub heads: usize,
    /// Added to the scores: `[batch, 1, 1, len]`, 0 for a token and very negative for padding. None: no padding.
    pub bias: Option<&'a Tensor<4>>,
    /// Dropout rate of the weights.
    pub dropout: f64,
}

/// `softmax(Q K^T / sqrt(width / heads) + bias) V`, per head, for `q`, `k`, `v` of `[batch * len, width]`; same shape out.
pub fn attention(
    q: Tensor<2>,
    k: Tensor<2>,
    v: Tensor<2>,
    options: &Attention<'_>,
    noise: Option<&mut Noise>,
) -> Tensor<2> {
    let [rows, d] = q.dims();
    let (len, heads) = (rows / options.batch, options.heads);
    let split = |x: Tensor<2>| x.reshape([options.batch, len, heads, d / heads]).swap_dims(1, 2);
    let scale = 1.0 / ((d / heads) as f64).sqrt();
    let mut scores = split(q * scale).matmul(split(k).transpose());
    if let Some(bias) = options.bias {
        scores = scores + bias.clone();
    }
    let weights = dropout_weights(softmax(scores, 3), options.dropout, noise);
    weights.matmul(split(v)).swap_dims(1, 2).reshape([rows, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn rows(values: &[f32], width: usize) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / width, width]), &Device::flex())
    }

    #[test]
    fn equal_scores_average_the_values_and_padding_is_not_seen() {
        // Zero queries: every visible key weighs the same. One sequence of three positions, two heads of width 1.
        let (q, k) = (rows(&[0.0; 6], 2), rows(&[5.0, -1.0, 3.0, 2.0, 9.0, 9.0], 2));
        let v = rows(&[1.0, 10.0, 3.0, 30.0, 500.0, 700.0], 2);
        let bias = Tensor::<4>::from_floats([[[[0.0, 0.0, -1e9]]]], &Device::flex());
        let options = Attention { batch: 1, heads: 2, bias: Some(&bias), dropout: 0.0 };
        let out: Vec<f32> = attention(q, k, v, &options, None).into_data().try_into_vec().expect("f32");
        assert_eq!(out, [2.0, 20.0, 2.0, 20.0, 2.0, 20.0]);
    }

    #[test]
    fn a_sequence_does_not_see_its_neighbours() {
        let q: Vec<f32> = (0..16).map(|i| (i as f32 * 0.7).sin()).collect();
        let options = |batch| Attention { batch, heads: 2, bias: None, dropout: 0.0 };
        let both = attention(rows(&q, 4), rows(&q, 4), rows(&q, 4), &options(2), None).into_data();
        let x = || rows(&q[8..], 4);
        let alone = attention(x(), x(), x(), &options(1), None).into_data();
        for (a, b) in both.iter::<f32>().skip(8).zip(alone.iter::<f32>()) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
