//! The same operations as ordinary tensor code, on every backend. Shapes and meanings are those of the functions of the
//! same name in the crate's root, where a drawn dropout mask is `[rows, width]` or `[batch, heads, len, len]`.

use burn::tensor::activation::{gelu, gelu_approximate, log_softmax, relu};
use burn::tensor::{Device, Int, Tensor, TensorData, module};

use crate::activation::Activation;
use crate::cpu::embedding::Lookup;
use crate::cpu::vocabulary::{Sampling, Targets, gumbel};
use crate::norm::Norm;

/// `x W + b`
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    x.matmul(weight) + bias.unsqueeze()
}

/// `[x K + k, x V + v]`
pub fn project_pair(x: Tensor<2>, maps: [(Tensor<2>, Tensor<1>); 2]) -> Tensor<2> {
    Tensor::cat(maps.map(|(weight, bias)| linear(x.clone(), weight, bias)).to_vec(), 1)
}

/// `f(x + bias)`
pub fn activate(activation: Activation, x: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let x = x + bias.unsqueeze();
    match activation {
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_approximate(x),
        Activation::Relu => relu(x),
    }
}

/// Layer norm of rows.
pub fn layer_norm(x: Tensor<2>, norm: Norm) -> Tensor<2> {
    module::layer_norm(x, norm.gamma, Some(norm.beta), norm.epsilon)
}

/// `residual + (x + bias) * mask`
pub fn add_residual(residual: Tensor<2>, x: Tensor<2>, bias: Tensor<1>, mask: Option<Tensor<2>>) -> Tensor<2> {
    let x = x + bias.unsqueeze();
    residual + mask.map_or(x.clone(), |mask| x * mask)
}

/// `softmax(Q K^T / sqrt(width) + bias) * mask V` for every head of a rectangle of sequences.
pub fn attention(
    queries: Tensor<2>,
    packed: Tensor<2>,
    heads: usize,
    batch: usize,
    bias: Option<Tensor<4>>,
    mask: Option<Tensor<4>>,
) -> Tensor<2> {
    let [rows, d] = queries.dims();
    let width = d / heads;
    let split = |x: Tensor<2>| x.reshape([batch, rows / batch, heads, width]).swap_dims(1, 2);
    let part = |i: usize| split(packed.clone().slice([0..rows, i * d..(i + 1) * d]));
    let mut scores = (split(queries) * (1.0 / (width as f64).sqrt())).matmul(part(0).transpose());
    if let Some(bias) = bias {
        scores = scores + bias;
    }
    let weights = burn::tensor::activation::softmax(scores, 3);
    let weights = mask.map_or(weights.clone(), |mask| weights * mask);
    weights.matmul(part(1)).swap_dims(1, 2).reshape([rows, d])
}

/// The bias that hides the keys after the first `lengths[i]` of sequence i, `[batch, 1, 1, len]`.
pub fn padding_bias(lengths: &[usize], len: usize, device: &Device) -> Tensor<4> {
    /// Its exponential is exactly 0 in single precision, and unlike an infinity it leaves a row of padding finite.
    const HIDDEN: f32 = -1e9;
    let row = |length: usize| (0..len).map(move |i| if i < length { 0.0 } else { HIDDEN });
    let values: Vec<f32> = lengths.iter().flat_map(|length| row(*length)).collect();
    Tensor::from_data(TensorData::new(values, [lengths.len(), 1, 1, len]), device)
}

/// The sum of rows of three tables.
pub fn embed(tokens: Tensor<2>, segments: Tensor<2>, positions: Tensor<2>, lookup: &Lookup) -> Tensor<2> {
    let [_, width] = tokens.dims();
    let device = tokens.device();
    let segments = match lookup.segments.is_empty() {
        true => segments.slice([0..1, 0..width]),
        false => segments.select(0, ids(&lookup.segments, &device)),
    };
    let places: Vec<u32> = lookup.rows.positions().iter().map(|place| place + lookup.offset as u32).collect();
    tokens.select(0, ids(&lookup.tokens, &device)) + segments + positions.select(0, ids(&places, &device))
}

/// The loss of each row in nats, `[n]`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1)).squeeze_dim::<1>(1).neg()
}

/// The weighted sum of the losses of rows of hidden states, `[1]`.
pub fn vocabulary_loss(hidden: Tensor<2>, table: Tensor<2>, bias: Tensor<1>, targets: &Targets) -> Tensor<1> {
    let device = hidden.device();
    let losses = cross_entropy(linear(hidden, table.transpose(), bias), ids(&targets.labels, &device));
    match &targets.weights {
        Some(weights) => (losses * Tensor::from_data(weights.as_slice(), &device)).sum(),
        None => losses.sum(),
    }
}

/// A token for each row, drawn from the softmax of its logits.
pub fn vocabulary_sample(hidden: Tensor<2>, table: Tensor<2>, bias: Tensor<1>, sampling: &Sampling) -> Vec<u32> {
    let device = hidden.device();
    let ([n, _], [vocabulary, _]) = (hidden.dims(), table.dims());
    let row = |(i, key): (usize, &u64)| -> Vec<f32> {
        let mut noise: Vec<f32> = (0..vocabulary as u32).map(|token| gumbel(*key, token)).collect();
        if let Some(except) = &sampling.except {
            noise[except[i] as usize] = -1e9;
        }
        noise
    };
    let noise: Vec<f32> = sampling.keys.iter().enumerate().flat_map(row).collect();
    let noise = Tensor::<2>::from_data(TensorData::new(noise, [n, vocabulary]), &device);
    let logits = linear(hidden, table.transpose(), bias) / sampling.temperature;
    (logits + noise).argmax(1).into_data().iter::<i64>().map(|token| token as u32).collect()
}

/// Token ids on a device.
pub fn ids(values: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.iter().map(|id| *id as i32).collect();
    Tensor::from_data(values.as_slice(), device)
}
