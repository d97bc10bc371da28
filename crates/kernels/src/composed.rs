//! The same operations as ordinary tensor code, on every backend. Shapes and meanings are those of
//! the functions of the same name in the crate's root, where a drawn dropout mask is `[rows,
//! width]` or `[batch, heads, len, len]`.

use burn::tensor::activation::{gelu, gelu_approximate, log_softmax, relu, sigmoid, silu};
use burn::tensor::{Device, Int, Tensor, TensorData, module};

use crate::cpu::activation::Activation;
use crate::cpu::divergence::Measure;
use crate::cpu::embedding::Lookup;
use crate::cpu::lstm::Direction;
use crate::cpu::orthogonal::COEFFICIENTS;
use crate::cpu::rotary::Rotary;
use crate::cpu::vocabulary::{Sampling, Targets, gumbel};
use crate::output::OutputLayer;
use crate::visibility::Visibility;

/// The score of a key that is not seen. Its exponential is exactly 0 in single precision, and
/// unlike an infinity it leaves a row of padding finite.
const HIDDEN: f32 = -1e9;

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
    curve(activation, x + bias.unsqueeze())
}

fn curve(activation: Activation, x: Tensor<2>) -> Tensor<2> {
    match activation {
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_approximate(x),
        Activation::Relu => relu(x),
        Activation::ReluSquared => relu(x).square(),
        Activation::Silu => silu(x),
    }
}

/// `f(x) * y` of rows `x, y` side by side.
pub fn gate(activation: Activation, packed: Tensor<2>) -> Tensor<2> {
    let [rows, both] = packed.dims();
    let half = |i: usize| packed.clone().slice([0..rows, i * (both / 2)..(i + 1) * (both / 2)]);
    curve(activation, half(0)) * half(1)
}

/// Root-mean-square norm of rows.
pub fn rms_norm(x: Tensor<2>, gamma: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let scale = (x.clone().square().mean_dim(1) + epsilon).sqrt().recip();
    x * scale * gamma.unsqueeze()
}

/// What hides the keys that queries of a rectangle do not see, `[batch, 1, len, len]`.
pub fn visibility_bias(
    visibility: &Visibility,
    batch: usize,
    len: usize,
    device: &Device,
) -> Tensor<4> {
    let mut values = vec![HIDDEN; batch * len * len];
    for (i, row) in values.chunks_exact_mut(len).enumerate() {
        row[visibility.of(i / len, (i % len) as u32, len)].fill(0.0);
    }
    Tensor::from_data(TensorData::new(values, [batch, 1, len, len]), device)
}

/// Layer norm of rows.
pub fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<2> {
    module::layer_norm(x, gamma, Some(beta), epsilon)
}

/// `residual + (x + bias) * mask`
pub fn add_residual(
    residual: Tensor<2>,
    x: Tensor<2>,
    bias: Tensor<1>,
    mask: Option<Tensor<2>>,
) -> Tensor<2> {
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
    let values = split_heads(packed.clone().slice([0..rows, d..2 * d]), heads, batch);
    let weights =
        burn::tensor::activation::softmax(attention_scores(queries, packed, heads, batch, bias), 3);
    let weights = mask.map_or(weights.clone(), |mask| weights * mask);
    weights.matmul(values).swap_dims(1, 2).reshape([rows, d])
}

/// `Q K^T / sqrt(width) + bias`, `[batch, heads, len, len]`.
pub fn attention_scores(
    queries: Tensor<2>,
    packed: Tensor<2>,
    heads: usize,
    batch: usize,
    bias: Option<Tensor<4>>,
) -> Tensor<4> {
    let [rows, d] = queries.dims();
    let keys = split_heads(packed.slice([0..rows, 0..d]), heads, batch);
    let scale = 1.0 / ((d / heads) as f64).sqrt();
    let scores = (split_heads(queries, heads, batch) * scale).matmul(keys.transpose());
    bias.map_or(scores.clone(), |bias| scores + bias)
}

/// `[batch * len, d]` to `[batch, heads, len, d / heads]`.
fn split_heads(x: Tensor<2>, heads: usize, batch: usize) -> Tensor<4> {
    let [rows, d] = x.dims();
    x.reshape([batch, rows / batch, heads, d / heads]).swap_dims(1, 2)
}

/// The bias that hides the keys after the first `lengths[i]` of sequence i, `[batch, 1, 1, len]`.
pub fn padding_bias(lengths: &[usize], len: usize, device: &Device) -> Tensor<4> {
    let row = |length: usize| (0..len).map(move |i| if i < length { 0.0 } else { HIDDEN });
    let values: Vec<f32> = lengths.iter().flat_map(|length| row(*length)).collect();
    Tensor::from_data(TensorData::new(values, [lengths.len(), 1, 1, len]), device)
}

/// The first `columns` columns, heads one after another, rotated by the angles of `positions`.
pub fn rotate(x: Tensor<2>, rotary: &Rotary, columns: usize, positions: &[u32]) -> Tensor<2> {
    let ([rows, width], device, half) = (x.dims(), x.device(), rotary.half());
    let (mut cosines, mut sines) = (Vec::new(), Vec::new());
    for position in positions {
        let (cosine, sine) = rotary.of(*position);
        cosines.extend_from_slice(cosine);
        sines.extend_from_slice(sine);
    }
    let [cosines, sines] = [cosines, sines]
        .map(|values| Tensor::<3>::from_data(TensorData::new(values, [rows, 1, half]), &device));

    let heads = columns / (2 * half);
    let split = x.clone().slice([0..rows, 0..columns]).reshape([rows, heads, 2 * half]);
    let first = split.clone().slice([0..rows, 0..heads, 0..half]);
    let second = split.slice([0..rows, 0..heads, half..2 * half]);
    let turned = Tensor::cat(
        vec![
            first.clone() * cosines.clone() - second.clone() * sines.clone(),
            second * cosines + first * sines,
        ],
        2,
    );
    let turned = turned.reshape([rows, columns]);
    if columns == width {
        return turned;
    }
    Tensor::cat(vec![turned, x.slice([0..rows, columns..width])], 1)
}

/// `weight` less the share `decay`; with `is_cautious` only where the update `direction` makes it
/// smaller too.
pub fn decayed(
    weight: Tensor<1>,
    direction: &Tensor<1>,
    decay: f64,
    is_cautious: bool,
) -> Tensor<1> {
    if !is_cautious {
        return weight * (1.0 - decay);
    }
    let same = (direction.clone() * weight.clone()).greater_elem(0.0).float();
    weight.clone() - weight * same * decay
}

/// Newton and Schulz's iteration towards the nearest orthogonal matrix.
pub fn orthogonalise(x: Tensor<2>, steps: usize) -> Tensor<2> {
    let [rows, columns] = x.dims();
    if rows > columns {
        return orthogonalise(x.transpose(), steps).transpose();
    }
    let norm = x.clone().square().sum().sqrt() + 1e-7;
    let [a, b, c] = COEFFICIENTS;
    let step = |x: Tensor<2>, _| {
        let gram = x.clone().matmul(x.clone().transpose());
        let polynomial = gram.clone() * b + gram.clone().matmul(gram) * c;
        x.clone() * a + polynomial.matmul(x)
    };
    (0..steps).fold(x / norm.unsqueeze(), step)
}

/// The sum of rows of three tables.
pub fn embed(
    tokens: Tensor<2>,
    segments: Tensor<2>,
    positions: Tensor<2>,
    lookup: &Lookup,
) -> Tensor<2> {
    let [_, width] = tokens.dims();
    let device = tokens.device();
    let segments = if lookup.segments.is_empty() {
        segments.slice([0..1, 0..width])
    } else {
        segments.select(0, ids(&lookup.segments, &device))
    };
    let offset = lookup.offset as u32;
    let indices: Vec<u32> = lookup.rows.positions().iter().map(|index| index + offset).collect();
    tokens.select(0, ids(&lookup.tokens, &device))
        + segments
        + positions.select(0, ids(&indices, &device))
}

/// The loss of each row in nats, `[n]`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1)).squeeze_dim::<1>(1).neg()
}

/// The logarithm of the sum of the exponentials of each row, `[n]`.
fn log_sum_exp(logits: Tensor<2>) -> Tensor<1> {
    let most = logits.clone().detach().max_dim(1);
    let sums = (logits - most.clone()).exp().sum_dim(1);
    (sums.log() + most).squeeze_dim::<1>(1)
}

/// `hidden table^T + bias`
pub fn logits(layer: OutputLayer) -> Tensor<2> {
    linear(layer.hidden, layer.table.transpose(), layer.bias)
}

/// The weighted sum of the losses of rows of hidden states, `[1]`.
pub fn vocabulary_loss(layer: OutputLayer, targets: &Targets) -> Tensor<1> {
    let device = layer.hidden.device();
    let logits = logits(layer);
    let mut losses = cross_entropy(logits.clone(), ids(&targets.labels, &device));
    if targets.z_loss > 0.0 {
        losses = losses + log_sum_exp(logits).powi_scalar(2) * targets.z_loss;
    }
    match &targets.weights {
        Some(weights) => (losses * Tensor::from_data(weights.as_slice(), &device)).sum(),
        None => losses.sum(),
    }
}

/// The sum of `measure` over rows of logits, `[1]`.
pub fn distance(logits: Tensor<2>, known: Tensor<2>, measure: Measure) -> Tensor<1> {
    let Measure::Divergence { temperature } = measure else {
        return (logits - known).powi_scalar(2).sum();
    };
    let (learnt, known) =
        (log_softmax(logits / temperature, 1), log_softmax(known / temperature, 1));
    (known.clone().exp() * (known - learnt)).sum() * (temperature * temperature)
}

/// The hidden states of a long short-term memory over a rectangle of sequences, those of padding 0,
/// `[batch * len, width]`.
pub fn lstm(
    inputs: Tensor<2>,
    recurrent: Tensor<2>,
    lengths: &[usize],
    direction: Direction,
) -> Tensor<2> {
    let ([rows, wide], [width, _], device) = (inputs.dims(), recurrent.dims(), inputs.device());
    let (batch, len) = (lengths.len(), rows / lengths.len());
    let inputs = inputs.reshape([batch, len, wide]);
    let (mut hidden, mut cell) =
        (Tensor::<2>::zeros([batch, width], &device), Tensor::<2>::zeros([batch, width], &device));
    let mut states = vec![hidden.clone(); len];

    let order: Vec<usize> = match direction {
        Direction::Forward => (0..len).collect(),
        Direction::Backward => (0..len).rev().collect(),
    };
    for t in order {
        let sums = inputs.clone().slice([0..batch, t..t + 1, 0..wide]).reshape([batch, wide]);
        let sums = sums + hidden.matmul(recurrent.clone());
        let gate = |i: usize| sums.clone().slice([0..batch, i * width..(i + 1) * width]);

        // A sequence that has not begun, read from the end, is where it started.
        let real: Vec<f32> =
            lengths.iter().map(|length| if t < *length { 1.0 } else { 0.0 }).collect();

        let real = Tensor::<1>::from_data(real.as_slice(), &device).reshape([batch, 1]);
        cell = (sigmoid(gate(1)) * cell + sigmoid(gate(0)) * gate(2).tanh()) * real.clone();
        hidden = sigmoid(gate(3)) * cell.clone().tanh() * real;
        states[t] = hidden.clone();
    }
    Tensor::stack::<3>(states, 1).reshape([rows, width])
}

/// A token for each row, drawn from the softmax of its logits.
pub fn vocabulary_sample(layer: OutputLayer, sampling: &Sampling) -> Vec<u32> {
    let device = layer.hidden.device();
    let ([n, _], [vocabulary, _]) = (layer.hidden.dims(), layer.table.dims());
    let row = |(i, key): (usize, &u64)| -> Vec<f32> {
        let mut noise: Vec<f32> = (0..vocabulary as u32).map(|token| gumbel(*key, token)).collect();
        if let Some(except) = &sampling.except {
            noise[except[i] as usize] = -1e9;
        }
        noise
    };
    let noise: Vec<f32> = sampling.keys.iter().enumerate().flat_map(row).collect();
    let noise = Tensor::<2>::from_data(TensorData::new(noise, [n, vocabulary]), &device);
    let logits = logits(layer) / sampling.temperature;
    (logits + noise).argmax(1).into_data().iter::<i64>().map(|token| token as u32).collect()
}

/// Token ids on a device.
pub fn ids(values: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.iter().map(|id| *id as i32).collect();
    Tensor::from_data(values.as_slice(), device)
}
