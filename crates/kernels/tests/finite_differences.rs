//! Gradients of the kernels against finite differences of the published formulas in double
//! precision.

use burn::tensor::{Device, Tensor, TensorData};
use kernels::{
    Activation, Attention, Mask, Noise, Norm, Precision, Rotary, Rows, Targets, Visibility,
};

/// A matrix in double precision.
#[derive(Clone)]
struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// Numbers between -1 and 1 that are exact in single precision.
    fn wave(rows: usize, columns: usize, seed: u32) -> Self {
        let number = |i: u32| {
            let mixed =
                (i + 1).wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 16;
            f64::from(mixed) / 32_768.0 - 1.0
        };
        Self { rows, columns, values: (0..(rows * columns) as u32).map(number).collect() }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    fn leaf(&self) -> Tensor<2> {
        let values: Vec<f32> = self.values.iter().map(|x| *x as f32).collect();
        let data = TensorData::new(values, [self.rows, self.columns]);
        Tensor::from_data(data, &Device::flex().autodiff()).require_grad()
    }
}

/// The weight of output `i` in the scalar that is differentiated.
fn upper(i: usize) -> f64 {
    ((i * 37 % 11) as f64 - 5.0) / 4.0
}

/// Compares the gradients of `kernel` with central differences of `formula`, for every element of
/// every input.
fn check(
    what: &str,
    inputs: &[Matrix],
    formula: impl Fn(&[Matrix]) -> Vec<f64>,
    kernel: impl Fn(&[Tensor<2>]) -> Tensor<2>,
) {
    const STEP: f64 = 1e-5;
    let scalar = |inputs: &[Matrix]| -> f64 {
        formula(inputs).iter().enumerate().map(|(i, y)| upper(i) * y).sum()
    };
    let leaves: Vec<Tensor<2>> = inputs.iter().map(Matrix::leaf).collect();
    let output = kernel(&leaves);
    let want = formula(inputs);
    for (got, want) in output.clone().into_data().iter::<f32>().zip(&want) {
        assert!(
            (f64::from(got) - want).abs() < 2e-5 * want.abs().max(1.0),
            "{what}: {got} is not {want}"
        );
    }
    let weights: Vec<f32> = (0..want.len()).map(|i| upper(i) as f32).collect();
    let weights = Tensor::<2>::from_data(TensorData::new(weights, output.dims()), &output.device());
    let gradients = (output * weights).sum().backward();
    for (number, leaf) in leaves.iter().enumerate() {
        let found = leaf.grad(&gradients).expect("a gradient").into_data();
        for (i, got) in found.iter::<f32>().enumerate() {
            let moved = |by: f64| {
                let mut inputs = inputs.to_vec();
                inputs[number].values[i] += by;
                scalar(&inputs)
            };
            let want = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let near = (f64::from(got) - want).abs() < 5e-5 * want.abs().max(1.0);
            assert!(near, "{what}: input {number}, element {i}: {got} is not {want}");
        }
    }
}

fn flat(x: &Tensor<2>) -> Tensor<1> {
    x.clone().reshape([x.dims()[1]])
}

fn softmax(row: &[f64]) -> Vec<f64> {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = row.iter().map(|x| (x - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|x| x / sum).collect()
}

fn normalise(row: &[f64], gamma: &[f64], beta: &[f64], epsilon: f64) -> Vec<f64> {
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    let scale = 1.0 / (variance + epsilon).sqrt();
    (0..row.len()).map(|i| (row[i] - mean) * scale * gamma[i] + beta[i]).collect()
}

/// The error function by its power series, exact to double precision for the arguments here.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..60 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    2.0 / std::f64::consts::PI.sqrt() * sum
}

#[test]
fn activations() {
    type Curve = fn(f64) -> f64;
    let curves: [(Activation, Curve); 2] = [
        (Activation::Gelu, |x| 0.5 * x * (1.0 + erf(x / 2f64.sqrt()))),
        (Activation::GeluTanh, |x| {
            0.5 * x
                * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
        }),
    ];
    for (activation, curve) in curves {
        let inputs = [Matrix::wave(3, 19, 1), Matrix::wave(1, 19, 2)];
        let formula =
            |m: &[Matrix]| (0..57).map(|i| curve(m[0].values[i] + m[1].values[i % 19])).collect();
        check("activation", &inputs, formula, |t| {
            kernels::activate(activation, t[0].clone(), flat(&t[1]))
        });
    }
}

#[test]
fn gated_activations() {
    type Curve = fn(f64) -> f64;
    let curves: [(Activation, Curve); 3] = [
        (Activation::Silu, |x| x / (1.0 + (-x).exp())),
        (Activation::ReluSquared, |x| x.max(0.0).powi(2)),
        (Activation::GeluTanh, |x| {
            0.5 * x
                * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
        }),
    ];
    for (activation, curve) in curves {
        let inputs = [Matrix::wave(3, 14, 1)];
        let formula = |m: &[Matrix]| {
            let gated = |(r, c): (usize, usize)| curve(m[0].at(r, c)) * m[0].at(r, 7 + c);
            (0..3).flat_map(|r| (0..7).map(move |c| (r, c))).map(gated).collect()
        };
        check("gate", &inputs, formula, |t| kernels::gate(activation, t[0].clone()));
    }
}

#[test]
fn root_mean_square_norms() {
    let inputs = [Matrix::wave(4, 17, 1), Matrix::wave(1, 17, 2)];
    let formula = |m: &[Matrix]| {
        let row = |r: usize| {
            let square = m[0].row(r).iter().map(|x| x * x).sum::<f64>() / 17.0;
            let scale = 1.0 / (square + 1e-6).sqrt();
            m[0].row(r).iter().zip(&m[1].values).map(move |(x, gamma)| x * scale * gamma)
        };
        (0..4).flat_map(row).collect()
    };
    check("rms norm", &inputs, formula, |t| kernels::rms_norm(t[0].clone(), flat(&t[1]), 1e-6));
}

#[test]
fn rotary_positions() {
    // Two heads of width 4 and two columns that stay; two sequences.
    let rows = Rows::of_lengths(&[3, 2]);
    let positions = [0.0, 1.0, 2.0, 0.0, 1.0];
    let formula = |m: &[Matrix]| {
        let element = |(r, c): (usize, usize)| {
            if c >= 8 {
                return m[0].at(r, c);
            }
            let (head, i) = (c / 4 * 4, c % 4);
            let angle = positions[r] * 100f64.powf(-((i % 2) as f64) / 2.0);
            let (first, second) = (m[0].at(r, head + i % 2), m[0].at(r, head + i % 2 + 2));
            if i < 2 {
                first * angle.cos() - second * angle.sin()
            } else {
                second * angle.cos() + first * angle.sin()
            }
        };
        (0..5).flat_map(|r| (0..10).map(move |c| (r, c))).map(element).collect()
    };
    check("rotary", &[Matrix::wave(5, 10, 1)], formula, |t| {
        kernels::rotate(t[0].clone(), &Rotary::new(4, 3, 100.0), 8, &rows)
    });
}

#[test]
fn attention_in_a_window_and_to_the_past() {
    // One head of width 3; the first of two sequences sees its past only, both at most one token
    // far and never the other of their two documents.
    let (lengths, width) = ([4usize, 3], 3);
    let documents = [vec![2], vec![1]].into();
    let visibility = Visibility { window: Some(1), causal: [true, false].into(), documents };
    let formula = |m: &[Matrix]| {
        let mut out = vec![0.0; 7 * width];
        for (sequence, start, length) in [(0, 0usize, 4usize), (1, 4, 3)] {
            for query in 0..length {
                let document = |position: usize| position >= [2, 1][sequence];
                let sees = |key: usize| {
                    let is_near = query.abs_diff(key) <= 1 && (sequence == 1 || key <= query);
                    is_near && document(key) == document(query)
                };
                let keys: Vec<usize> = (0..length).filter(|key| sees(*key)).collect();
                let score = |key: &usize| -> f64 {
                    let products =
                        (0..width).map(|c| m[0].at(start + query, c) * m[1].at(start + key, c));
                    products.sum::<f64>() / (width as f64).sqrt()
                };
                let weights = softmax(&keys.iter().map(score).collect::<Vec<_>>());
                for c in 0..width {
                    let terms = keys.iter().zip(&weights);
                    out[(start + query) * width + c] =
                        terms.map(|(key, weight)| weight * m[1].at(start + key, width + c)).sum();
                }
            }
        }
        out
    };
    let inputs = [Matrix::wave(7, width, 1), Matrix::wave(7, 2 * width, 2)];
    check("window", &inputs, formula, |t| {
        let rows = Rows::of_lengths(&lengths);
        let (queries, keys, visibility) = (rows.clone(), rows, visibility.clone());
        let options = Attention { heads: 1, queries, keys, visibility, bias: None };
        kernels::attention(t[0].clone(), t[1].clone(), options, None)
    });
}

#[test]
fn norms_after_a_residual_sum() {
    let inputs =
        [(4, 1), (4, 2), (1, 3), (1, 4), (1, 5)].map(|(rows, seed)| Matrix::wave(rows, 17, seed));
    let formula = |m: &[Matrix]| {
        let row = |r: usize| {
            let sum: Vec<f64> =
                (0..17).map(|c| m[0].at(r, c) + m[1].at(r, c) + m[2].values[c]).collect();
            normalise(&sum, &m[3].values, &m[4].values, 1e-5)
        };
        (0..4).flat_map(row).collect()
    };
    check("norm", &inputs, formula, |t| {
        let norm = Norm { gamma: flat(&t[3]), beta: flat(&t[4]), epsilon: 1e-5 };
        kernels::add_normalise(t[0].clone(), t[1].clone(), flat(&t[2]), norm, None)
    });
}

#[test]
fn attention_with_dropout() {
    // Sequences of four and three tokens, two heads of width 3.
    let (lengths, heads, width) = ([4usize, 3], 2, 3);
    let (rows, d) = (7, heads * width);
    let inputs = [Matrix::wave(rows, d, 1), Matrix::wave(rows, 2 * d, 2)];

    // The mask is read from the kernel itself: with equal scores and one-hot values it shows in the
    // output.
    let mask = || Mask::draw(Some(&mut Noise::new(vec![5, 6])), 0.4, &Rows::of_lengths(&lengths));
    let options = || {
        let rows = Rows::of_lengths(&lengths);
        Attention {
            heads,
            queries: rows.clone(),
            keys: rows,
            visibility: Visibility::default(),
            bias: None,
        }
    };

    // kept[key][head] is the row of factors over all queries, 0 or 1 / 0.6.
    let kept: Vec<Vec<f64>> = (0..4)
        .map(|key| {
            let mut packed = Matrix { rows, columns: 2 * d, values: vec![0.0; rows * 2 * d] };
            for (start, length) in [(0, 4), (4, 3)] {
                if key < length {
                    packed.values[(start + key) * 2 * d + d..(start + key + 1) * 2 * d]
                        .fill(length as f64);
                }
            }
            let zero = Matrix { rows, columns: d, values: vec![0.0; rows * d] };
            let out = kernels::attention(zero.leaf(), packed.leaf(), options(), mask());
            out.into_data().iter::<f32>().map(f64::from).collect()
        })
        .collect();
    let zeros = kept.iter().flatten().filter(|factor| **factor == 0.0).count();
    assert!(zeros > 10, "something is dropped");

    let formula = |m: &[Matrix]| {
        let mut out = vec![0.0; rows * d];
        for (start, length) in [(0, 4), (4, 3)] {
            for (query, head) in (0..length).flat_map(|q| (0..heads).map(move |h| (q, h))) {
                let columns = head * width..(head + 1) * width;
                let score = |key: usize| -> f64 {
                    columns
                        .clone()
                        .map(|c| m[0].at(start + query, c) * m[1].at(start + key, c))
                        .sum::<f64>()
                        / (width as f64).sqrt()
                };
                let weights = softmax(&(0..length).map(score).collect::<Vec<_>>());
                for c in columns.clone() {
                    let place = (start + query) * d + c;
                    let term =
                        |key: usize| weights[key] * kept[key][place] * m[1].at(start + key, d + c);
                    out[place] = (0..length).map(term).sum();
                }
            }
        }
        out
    };

    check("attention", &inputs, formula, |t| {
        kernels::attention(t[0].clone(), t[1].clone(), options(), mask())
    });
}

#[test]
fn output_layer_with_cross_entropy() {
    let (n, vocabulary, width) = (5, 23, 4);
    let inputs = [
        Matrix::wave(n, width, 1),
        Matrix::wave(vocabulary, width, 2),
        Matrix::wave(1, vocabulary, 3),
    ];
    const Z_LOSS: f32 = 0.03;
    let labels = [3u32, 0, 22, 7, 7];
    let weights = [1.0f32, 0.5, 2.0, 0.0, 1.0];
    let formula = |m: &[Matrix]| {
        let loss = |row: usize| {
            let logit = |word: usize| {
                m[0].row(row).iter().zip(m[1].row(word)).map(|(h, t)| h * t).sum::<f64>()
                    + m[2].values[word]
            };
            let logits: Vec<f64> = (0..vocabulary).map(logit).collect();
            let probabilities = softmax(&logits);
            let log_sum = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
            let loss = -probabilities[labels[row] as usize].ln();
            f64::from(weights[row]) * (loss + f64::from(Z_LOSS) * log_sum * log_sum)
        };
        vec![(0..n).map(loss).sum()]
    };
    check("loss", &inputs, formula, |t| {
        let weights = Some(weights.to_vec());
        let targets = Targets { labels: labels.to_vec(), weights, z_loss: Z_LOSS };
        let [hidden, table] = [&t[0], &t[1]].map(Tensor::clone);
        let layer =
            kernels::OutputLayer { hidden, table, bias: flat(&t[2]), precision: Precision::F32 };
        kernels::vocabulary_loss(layer, targets).reshape([1, 1])
    });
}

#[test]
fn linear_maps_and_softmax() {
    let inputs = [Matrix::wave(3, 5, 1), Matrix::wave(5, 7, 2), Matrix::wave(1, 7, 3)];
    let formula = |m: &[Matrix]| {
        let out = |i: usize| {
            (0..5).map(|k| m[0].at(i / 7, k) * m[1].at(k, i % 7)).sum::<f64>() + m[2].values[i % 7]
        };
        let rows: Vec<f64> = (0..21).map(out).collect();
        rows.chunks(7).flat_map(softmax).collect()
    };
    check("linear, softmax", &inputs, formula, |t| {
        kernels::softmax(kernels::linear(t[0].clone(), t[1].clone(), flat(&t[2]), Precision::F32))
    });
}
