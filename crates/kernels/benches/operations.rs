//! Every kernel, forward and backward, beside the same operation composed of burn's own.
//!
//! Shapes are those of a quarter of a batch of 32 x 128 in the small preset, which is what one core
//! works on.

use std::hint::black_box;

use burn::tensor::{Device, Tensor, TensorData};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::{
    Activation, AdamStep, Attention, Lookup, Mask, Moments, MuonMatrix, MuonStep, Noise, Norm,
    OutputLayer, Precision, Rows, Targets, Visibility, composed,
};

const SEQUENCES: usize = 8;
const LEN: usize = 128;
const ROWS: usize = SEQUENCES * LEN;
const WIDTH: usize = 512;
const WIDE: usize = 2048;
const HEADS: usize = 8;
const VOCABULARY: usize = 8192;
const PREDICTED: usize = 154;

fn leaf<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let n = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..n)
        .map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
}

/// Two benchmarks: the operation with its backward pass, fused and composed.
fn both<const D: usize>(
    c: &mut Criterion,
    name: &str,
    fused: impl Fn() -> Tensor<D>,
    plain: impl Fn() -> Tensor<D>,
) {
    let mut group = c.benchmark_group(name);
    group.sample_size(10);
    group.bench_function("forward, fused", |b| b.iter(|| black_box(fused())));
    group.bench_function("forward, composed", |b| b.iter(|| black_box(plain())));
    group.bench_function("forward and backward, fused", |b| {
        b.iter(|| black_box(fused().sum().backward()))
    });
    group.bench_function("forward and backward, composed", |b| {
        b.iter(|| black_box(plain().sum().backward()))
    });
    group.finish();
}

fn noise() -> Noise {
    Noise::new((0..SEQUENCES as u64).collect())
}

fn rows() -> Rows {
    Rows::of_lengths(&[LEN; SEQUENCES])
}

fn mask() -> Option<Mask> {
    Mask::draw(Some(&mut noise()), 0.1, &rows())
}

/// The matrix product alone: what the machine can do at most. "Elements" are floating-point
/// operations.
fn product(c: &mut Criterion) {
    let (x, w) = (leaf([ROWS, WIDTH]).inner(), leaf([WIDTH, WIDE]).inner());
    let mut group = c.benchmark_group("matrix product 1024 x 512 x 2048");
    group.throughput(Throughput::Elements(2 * (ROWS * WIDTH * WIDE) as u64));
    for (name, precision) in [("32 bits", Precision::F32), ("bfloat16", Precision::Bf16)] {
        group.bench_function(name, |b| {
            b.iter(|| black_box(kernels::project(x.clone(), w.clone(), precision)))
        });
    }
    group.finish();
}

fn linear(c: &mut Criterion) {
    let (x, w, b) = (leaf([ROWS, WIDTH]), leaf([WIDTH, WIDE]), leaf([WIDE]));
    let inputs = || (x.clone(), w.clone(), b.clone());
    for (name, precision) in [("linear", Precision::F32), ("linear, bfloat16", Precision::Bf16)] {
        let fused = |(x, w, b)| kernels::linear(x, w, b, precision);
        both(c, name, || fused(inputs()), || inputs_to(composed::linear, inputs()));
    }
}

fn inputs_to<A, B, C, R>(f: impl Fn(A, B, C) -> R, (a, b, c): (A, B, C)) -> R {
    f(a, b, c)
}

fn activation(c: &mut Criterion) {
    let (x, b) = (leaf([ROWS, WIDE]), leaf([WIDE]));
    for (name, activation) in
        [("bias and erf GELU", Activation::Gelu), ("bias and tanh GELU", Activation::GeluTanh)]
    {
        both(
            c,
            name,
            || kernels::activate(activation, x.clone(), b.clone()),
            || composed::activate(activation, x.clone(), b.clone()),
        );
    }
}

fn norm(c: &mut Criterion) {
    let (x, residual) = (leaf([ROWS, WIDTH]), leaf([ROWS, WIDTH]));
    let (bias, gamma, beta) = (leaf([WIDTH]), leaf([WIDTH]), leaf([WIDTH]));
    let norm = || Norm { gamma: gamma.clone(), beta: beta.clone(), epsilon: 1e-12 };
    both(
        c,
        "layer norm",
        || kernels::layer_norm(x.clone(), norm()),
        || composed::layer_norm(x.clone(), gamma.clone(), beta.clone(), 1e-12),
    );
    let factors = kernels::dropout(Tensor::ones([ROWS, WIDTH], &Device::flex()), mask());
    let factors = Tensor::from_inner(factors);
    both(
        c,
        "layer norm of a residual sum with dropout",
        || kernels::add_normalise(residual.clone(), x.clone(), bias.clone(), norm(), mask()),
        || {
            // The mask is drawn beforehand: less work than the fused operation does.
            let sum = composed::add_residual(
                residual.clone(),
                x.clone(),
                bias.clone(),
                Some(factors.clone()),
            );
            composed::layer_norm(sum, gamma.clone(), beta.clone(), 1e-12)
        },
    );
}

fn attention(c: &mut Criterion) {
    let (q, kv) = (leaf([ROWS, WIDTH]), leaf([ROWS, 2 * WIDTH]));
    let options = || Attention {
        heads: HEADS,
        queries: rows(),
        keys: rows(),
        visibility: Visibility::default(),
        bias: None,
    };
    both(
        c,
        "attention",
        || kernels::attention(q.clone(), kv.clone(), options(), None),
        || composed::attention(q.clone(), kv.clone(), HEADS, SEQUENCES, None, None),
    );
}

fn softmax(c: &mut Criterion) {
    let x = leaf([ROWS, WIDE]);
    both(
        c,
        "softmax",
        || kernels::softmax(x.clone()),
        || burn::tensor::activation::softmax(x.clone(), 1),
    );
}

fn embedding(c: &mut Criterion) {
    let (tokens, segments, positions) =
        (leaf([VOCABULARY, WIDTH]), leaf([2, WIDTH]), leaf([512, WIDTH]));
    let ids = (0..ROWS).map(|i| (i * 7919 % VOCABULARY) as u32).collect();
    let lookup = Lookup { tokens: ids, segments: Vec::new(), rows: rows(), offset: 0 };
    both(
        c,
        "embeddings",
        || kernels::embed(tokens.clone(), segments.clone(), positions.clone(), lookup.clone()),
        || composed::embed(tokens.clone(), segments.clone(), positions.clone(), &lookup),
    );
}

fn vocabulary(c: &mut Criterion) {
    let (hidden, table, bias) =
        (leaf([PREDICTED, WIDTH]), leaf([VOCABULARY, WIDTH]), leaf([VOCABULARY]));
    let layer = OutputLayer { hidden, table, bias, precision: Precision::F32 };
    let labels = (0..PREDICTED).map(|i| (i * 7919 % VOCABULARY) as u32).collect();
    let targets = Targets::new(labels);
    both(
        c,
        "output layer with cross-entropy",
        || kernels::vocabulary_loss(layer.clone(), targets.clone()),
        || composed::vocabulary_loss(layer.clone(), &targets),
    );
}

fn optimizers(c: &mut Criterion) {
    let n = WIDTH * VOCABULARY;
    let flat = || leaf([n]).inner();
    let step = AdamStep {
        rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-6,
        decay: 0.01,
        is_cautious: false,
        mean_scale: 1.0,
        root_scale: 1.0,
    };
    let mut group = c.benchmark_group("optimizer step, 4.2 million parameters");
    group.sample_size(10);
    for (name, rule) in
        [("AdamW", kernels::adamw as fn(_, _, _, _, &_) -> _), ("LAMB", kernels::lamb)]
    {
        let (gradient, scale) = (flat(), Tensor::from_floats([1.0], &Device::flex()));
        let mut state = Some((flat(), Moments { mean: flat() * 0.0, square: flat() * 0.0 }));
        group.bench_function(name, |b| {
            b.iter(|| {
                let (weight, moments) = state.take().expect("put back");
                state = Some(rule(weight, gradient.clone(), moments, scale.clone(), &step));
            });
        });
    }
    group.finish();
}

/// A step for the matrices of six gated layers of width 256.
fn muon(c: &mut Criterion) {
    let (width, wide) = (256, 704);
    let layer =
        [[width, width]; 4].into_iter().chain([[width, wide], [width, wide], [wide, width]]);
    let matrix = |shape: [usize; 2]| {
        let flat = || leaf([shape[0] * shape[1]]).inner();
        let (weight, gradient, momentum) = (flat(), flat(), flat());
        MuonMatrix { shape, weight, gradient, momentum, rate: 0.02 }
    };
    let matrices: Vec<MuonMatrix> = (0..6).flat_map(|_| layer.clone().map(matrix)).collect();
    let scale = Tensor::from_floats([1.0], &Device::flex());
    let step = MuonStep { momentum: 0.95, decay: 0.1, is_cautious: false, iterations: 5 };
    let mut group = c.benchmark_group("optimizer step, 4.8 million parameters in matrices");
    group.sample_size(10);
    group.bench_function("Muon", |b| {
        b.iter(|| kernels::muon(matrices.clone(), &scale, &step));
    });
    group.finish();
}

criterion_group!(
    benches, product, linear, activation, norm, attention, softmax, embedding, vocabulary,
    optimizers, muon
);
criterion_main!(benches);
