//! The parts of modern encoders, each turned on alone and all together.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trunk::{
    Activation, Encoder, EncoderConfig, Noise, NormKind, NormPlacement, OutputInit,
    PositionEmbedding, Sequences, Sharing,
};

const LAYERS: usize = 3;

/// Small enough for every row to be looked at.
fn base() -> EncoderConfig {
    EncoderConfig {
        vocabulary: 40,
        hidden: 16,
        layers: LAYERS,
        heads: 2,
        feed_forward: 24,
        positions: 24,
        segments: 0,
        norm: NormPlacement::Pre,
        initializer_range: 0.2,
        dropout: 0.0,
        attention_dropout: 0.0,
        ..EncoderConfig::default()
    }
}

/// ModernBERT's arrangement.
fn modern() -> EncoderConfig {
    EncoderConfig {
        position_embedding: PositionEmbedding::Rotary,
        rotary_base: 160_000.0,
        local_attention: 4,
        feed_forward_gate: true,
        norm_bias: false,
        first_norm: false,
        bias: false,
        output_init: OutputInit::DepthScaled,
        ..base()
    }
}

/// Encoders with one part each, and with many.
fn encoders() -> Vec<(&'static str, EncoderConfig)> {
    let rotary = EncoderConfig { position_embedding: PositionEmbedding::Rotary, ..base() };
    vec![
        ("post", EncoderConfig { norm: NormPlacement::Post, ..base() }),
        ("pre", base()),
        ("rms", EncoderConfig { norm_kind: NormKind::Rms, ..base() }),
        (
            "rms, post",
            EncoderConfig { norm_kind: NormKind::Rms, norm: NormPlacement::Post, ..base() },
        ),
        ("no bias of norms", EncoderConfig { norm_bias: false, ..base() }),
        ("no biases", EncoderConfig { bias: false, ..base() }),
        ("no norm of embeddings", EncoderConfig { embedding_norm: false, ..base() }),
        ("no first norm", EncoderConfig { first_norm: false, ..base() }),
        ("no final norm", EncoderConfig { final_norm: false, ..base() }),
        ("rotary", rotary.clone()),
        ("rotary with segments", EncoderConfig { segments: 2, ..rotary }),
        ("local", EncoderConfig { local_attention: 4, ..base() }),
        ("GeGLU", EncoderConfig { feed_forward_gate: true, ..base() }),
        (
            "SwiGLU",
            EncoderConfig { feed_forward_gate: true, activation: Activation::Silu, ..base() },
        ),
        ("squared ReLU", EncoderConfig { activation: Activation::ReluSquared, ..base() }),
        ("query-key norm", EncoderConfig { query_key_norm: true, ..base() }),
        ("gate on attention", EncoderConfig { attention_gate: true, ..base() }),
        ("modern", modern()),
        (
            "modern and more",
            EncoderConfig {
                norm_kind: NormKind::Rms,
                query_key_norm: true,
                attention_gate: true,
                sharing: Sharing::FeedForward,
                ..modern()
            },
        ),
    ]
}

fn encoder(config: &EncoderConfig, device: &Device) -> Encoder {
    config.validate().expect("valid");
    Encoder::init(config, &mut ChaCha8Rng::seed_from_u64(5), device)
}

fn sequences() -> Sequences {
    let row = |n: u32| (0..n).map(|i| (7 * i + n) % 40).collect::<Vec<u32>>();
    Sequences::pad(&[row(19), row(4), row(11)], 0)
}

fn host<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.clone().into_data().iter::<f32>().collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn chosen_rows_are_those_of_the_whole() {
    for (name, config) in encoders() {
        let device = Device::flex();
        let (encoder, sequences) = (encoder(&config, &device), sequences());
        let input = sequences.input(&device);
        let positions = [0, 7, 18, 20, 38, 40];
        let rows = positions.map(|position| input.row(position)).to_vec();
        let whole = kernels::gather(encoder.forward(&input, None), rows);
        let some = encoder.forward_at(&input, &positions, None);
        assert!(largest_difference(&host(&whole), &host(&some)) < 1e-5, "{name}");
    }
}

/// Adds `step` times a random direction to every parameter, and keeps the direction.
struct Move<'a> {
    rng: ChaCha8Rng,
    step: f32,
    directions: &'a mut Vec<Vec<f32>>,
}

impl ModuleMapper for Move<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.dims();
        let n = shape.iter().product();
        let direction: Vec<f32> =
            (0..n).map(|_| self.rng.next_u32() as f32 / u32::MAX as f32 - 0.5).collect();
        let moved = Tensor::<D>::from_data(
            TensorData::new(direction.clone(), shape),
            &param.val().device(),
        );
        self.directions.push(direction);
        let step = self.step;
        param.map(|value| (value + moved * step).detach().require_grad())
    }
}

/// Collects the product of every gradient with its direction.
struct Along<'a> {
    gradients: burn::tensor::Gradients,
    directions: std::slice::Iter<'a, Vec<f32>>,
    sum: f64,
    without: usize,
}

impl burn::module::ModuleVisitor for Along<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let direction = self.directions.next().expect("a direction a parameter");
        let Some(gradient) = param.val().grad(&self.gradients) else {
            self.without += 1;
            return;
        };
        let products = host(&gradient).into_iter().zip(direction);
        self.sum += products.map(|(g, d)| f64::from(g) * f64::from(*d)).sum::<f64>();
    }
}

#[test]
fn gradients_are_slopes_in_any_direction() {
    for (name, config) in encoders() {
        let device = Device::flex().autodiff();
        let (start, sequences) = (encoder(&config, &device), sequences());
        let loss = |encoder: &Encoder| {
            let hidden = encoder.forward(&sequences.input(&device), None);
            let [rows, width] = hidden.dims();
            let weights: Vec<f32> = (0..rows * width).map(|i| (i as f32 * 0.7).sin()).collect();
            (hidden * Tensor::from_data(TensorData::new(weights, [rows, width]), &device)).sum()
        };
        let moved = |step: f32, directions: &mut Vec<Vec<f32>>| {
            start.clone().map(&mut Move { rng: ChaCha8Rng::seed_from_u64(9), step, directions })
        };

        let mut directions = Vec::new();
        let here = moved(0.0, &mut directions);
        let gradients = loss(&here).backward();
        let mut along = Along { gradients, directions: directions.iter(), sum: 0.0, without: 0 };
        here.visit(&mut along);
        assert_eq!(along.without, 0, "{name}: parameters without a gradient");

        let step = 2e-3;
        let at = |step: f32| f64::from(host(&loss(&moved(step, &mut Vec::new())))[0]);
        let slope = (at(step) - at(-step)) / f64::from(2.0 * step);
        let error = (slope - along.sum).abs() / slope.abs().max(1.0);
        assert!(error < 2e-2, "{name}: {} is not {slope}", along.sum);
    }
}

#[test]
fn layers_that_start_at_zero_change_nothing() {
    let config = EncoderConfig { output_init: OutputInit::Zero, final_norm: false, ..modern() };
    let device = Device::flex();
    let (encoder, input) = (encoder(&config, &device), sequences().input(&device));
    let embedded = encoder.embeddings.forward(&input, None);
    assert_eq!(host(&encoder.forward(&input, None)), host(&embedded));
}

/// The hidden states of one sequence, row by row.
fn states(encoder: &Encoder, tokens: &[u32]) -> Vec<Vec<f32>> {
    let input = Sequences::pad(&[tokens], 0).input(&Device::flex());
    let hidden = host(&encoder.forward(&input, None));
    hidden.chunks(16).map(<[f32]>::to_vec).collect()
}

#[test]
fn a_token_outside_every_window_is_not_seen() {
    // Layers 1 and 2 see two tokens to each side; only layer 0 is global, and its attention is off.
    let config = EncoderConfig { output_init: OutputInit::Normal, ..modern() };
    let device = Device::flex();
    let mut encoder = encoder(&config, &device);
    let output = &mut encoder.stack.attention[0].output.weight;
    *output = output.clone().map(|weight| weight.zeros_like());

    let tokens: Vec<u32> = (0..19).collect();
    let mut changed = tokens.clone();
    changed[9] = 30;
    let (before, after) = (states(&encoder, &tokens), states(&encoder, &changed));
    let differs: Vec<usize> = (0..19).filter(|row| before[*row] != after[*row]).collect();
    assert_eq!(differs, (5..=13).collect::<Vec<_>>());
}

#[test]
fn rotary_positions_tell_the_order() {
    let encoder = encoder(&EncoderConfig { local_attention: 0, ..modern() }, &Device::flex());
    // Without positions a token would be the same wherever it stands among the others.
    let (there, back): (Vec<u32>, Vec<u32>) = ((0..9).collect(), (0..9).rev().collect());
    let (there, back) = (states(&encoder, &there), states(&encoder, &back));
    assert!(largest_difference(&there[0], &back[8]) > 1e-3);
}

#[test]
fn a_causal_sequence_sees_only_its_past_and_the_others_do_not_notice() {
    let encoder = encoder(&modern(), &Device::flex());
    let states = |last: u32, causal: Vec<bool>| {
        let rows = [vec![5, 6, 7, 8, last], vec![5, 6, 7, 8, last]];
        let sequences = Sequences { causal, ..Sequences::pad(&rows, 0) };
        let hidden = host(&encoder.forward(&sequences.input(&Device::flex()), None));
        hidden.chunks(16).map(<[f32]>::to_vec).collect::<Vec<_>>()
    };
    let (one, other) = (states(1, vec![true, false]), states(2, vec![true, false]));
    let same: Vec<usize> = (0..10).filter(|row| one[*row] == other[*row]).collect();
    assert_eq!(same, [0, 1, 2, 3]);
    assert_eq!(one[5..], states(1, Vec::new())[5..]);
}

#[test]
fn documents_of_a_sequence_are_read_as_if_each_stood_alone() {
    for config in
        [modern(), EncoderConfig { position_embedding: PositionEmbedding::Absolute, ..modern() }]
    {
        let (device, documents) = (Device::flex(), [&[5u32, 6, 7][..], &[8], &[9, 1, 2, 3]]);
        let encoder = encoder(&config, &device);
        let alone = documents.map(|tokens| states(&encoder, tokens)).concat();

        let mut together = Sequences::pad(&[documents.concat(), vec![4, 4]], 0);
        together.documents = vec![vec![3, 4], Vec::new()];
        for input in [together.input(&device), together.padded_input(&device)] {
            let found = host(&encoder.forward(&input, None));
            for (row, alone) in found.chunks(16).zip(&alone) {
                assert!(largest_difference(row, alone) < 1e-5);
            }
        }
    }
}

#[test]
fn dropout_does_not_depend_on_who_is_beside() {
    let config = EncoderConfig { dropout: 0.3, attention_dropout: 0.3, ..modern() };
    let (device, rows) = (Device::flex(), [[3u32, 7, 9, 1], [2, 2, 5, 8]]);
    let encoder = encoder(&config, &device);
    let both = Sequences::pad(&rows, 0).input(&device);
    let both = host(&encoder.forward(&both, Some(&mut Noise::new(vec![11, 12]))));
    let second = Sequences::pad(&rows[1..], 0).input(&device);
    let second = host(&encoder.forward(&second, Some(&mut Noise::new(vec![12]))));
    assert!(largest_difference(&both[4 * 16..], &second) < 1e-6);
}
