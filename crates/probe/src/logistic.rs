//! Multinomial logistic regression.

use burn::tensor::{Device, Tensor, TensorData};
use kernels::{OutputLayer, Precision, Targets, vocabulary_loss};

use crate::pool::MeanStates;

/// How a regression is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogisticConfig {
    /// What half of the sum of squared weights, biases apart, is multiplied by and added to the
    /// mean loss.
    pub decay: f64,
    /// Most steps.
    pub steps: usize,
}

/// Fitted weights for standardised features.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// `[classes, width]`, then the biases, `[classes]`.
    weights: Vec<f32>,
    classes: usize,
    scale: Scale,
}

/// Mean and standard deviation of each feature.
#[derive(Clone, Debug)]
struct Scale {
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

/// Steps whose changes the estimate of the curvature is made from.
const MEMORY: usize = 10;
/// The norm of the gradient at which the fit ends.
const TOLERANCE: f64 = 1e-5;

/// A value, and the gradient of its weights.
struct Point {
    value: f64,
    gradient: Vec<f32>,
}

/// The mean loss over rows and its gradient.
struct Problem {
    features: Tensor<2>,
    labels: Vec<u32>,
    classes: usize,
    width: usize,
    decay: f64,
}

impl Classifier {
    /// Fits the regression of `labels`, each below `classes`, on `features` by L-BFGS (Liu and
    /// Nocedal 1989) from zero.
    ///
    /// # Panics
    /// When there is not one label for each row.
    pub fn fit(
        features: &MeanStates,
        labels: &[u32],
        classes: usize,
        config: LogisticConfig,
    ) -> Self {
        assert_eq!(features.rows(), labels.len(), "a label a row");
        let scale = Scale::of(features);
        let problem = Problem {
            features: scale.apply(features, &Device::flex().autodiff()),
            labels: labels.to_vec(),
            classes,
            width: features.width,
            decay: config.decay,
        };
        let weights = minimise(&problem, vec![0.0; classes * (features.width + 1)], config.steps);
        Self { weights, classes, scale }
    }

    /// The share of rows whose most probable class is their label.
    ///
    /// # Panics
    /// When there is not one label for each row.
    pub fn accuracy(&self, features: &MeanStates, labels: &[u32]) -> f64 {
        assert_eq!(features.rows(), labels.len(), "a label a row");
        let rows = self.scale.apply(features, &Device::flex());
        let layer = layer(rows, &self.weights, self.classes, features.width);

        // Of equally probable classes the first.
        let found = layer.logits().argmax(1).into_data();
        let is_hit = |(found, label): &(i64, &u32)| *found == i64::from(**label);
        found.iter::<i64>().zip(labels).filter(is_hit).count() as f64 / labels.len() as f64
    }
}

impl Scale {
    fn of(features: &MeanStates) -> Self {
        let (n, width) = (features.rows() as f64, features.width);
        let column =
            |j: usize| features.values.iter().skip(j).step_by(width).copied().map(f64::from);
        let mean: Vec<f64> = (0..width).map(|j| column(j).sum::<f64>() / n).collect();
        let deviation = |j: usize| {
            let variance = column(j).map(|x| (x - mean[j]).powi(2)).sum::<f64>() / n;
            // A feature that never changes tells nothing.
            if variance > 1e-12 { variance.sqrt() } else { 1.0 }
        };
        Self {
            deviation: (0..width).map(|j| deviation(j) as f32).collect(),
            mean: mean.iter().map(|mean| *mean as f32).collect(),
        }
    }

    /// The standardised features, `[rows, width]`.
    fn apply(&self, features: &MeanStates, device: &Device) -> Tensor<2> {
        let of_row = self.mean.iter().zip(&self.deviation).cycle();
        let values: Vec<f32> =
            features.values.iter().zip(of_row).map(|(x, (mean, dev))| (x - mean) / dev).collect();
        Tensor::from_data(TensorData::new(values, [features.rows(), features.width]), device)
    }
}

fn layer(features: Tensor<2>, weights: &[f32], classes: usize, width: usize) -> OutputLayer {
    let device = features.device();
    let (table, bias) = weights.split_at(classes * width);
    OutputLayer {
        table: Tensor::from_data(TensorData::new(table.to_vec(), [classes, width]), &device),
        bias: Tensor::from_data(TensorData::new(bias.to_vec(), [classes]), &device),
        hidden: features,
        precision: Precision::F32,
    }
}

impl Problem {
    fn at(&self, weights: &[f32]) -> Point {
        let mut layer = layer(self.features.clone(), weights, self.classes, self.width);
        (layer.table, layer.bias) = (layer.table.require_grad(), layer.bias.require_grad());

        let loss = vocabulary_loss(layer.clone(), Targets::new(self.labels.clone()));
        let gradients = loss.backward();
        let n = self.labels.len() as f64;
        let host = |gradient: Option<TensorData>| -> Vec<f32> {
            let data = gradient.expect("a gradient of what is required");
            data.iter::<f32>().map(|g| (f64::from(g) / n) as f32).collect()
        };
        let mut gradient = host(layer.table.grad(&gradients).map(Tensor::into_data));
        gradient.extend(host(layer.bias.grad(&gradients).map(Tensor::into_data)));

        let decayed = &weights[..self.classes * self.width];
        for (g, w) in gradient.iter_mut().zip(decayed) {
            *g += (self.decay * f64::from(*w)) as f32;
        }
        let value = f64::from(loss.into_scalar::<f32>()) / n;
        Point { value: value + 0.5 * self.decay * dot(decayed, decayed), gradient }
    }
}

/// A change of the weights and the change of the gradient with it.
struct Change {
    weights: Vec<f32>,
    gradient: Vec<f32>,
}

/// The weights at which `problem` is least, by L-BFGS with steps that are halved until they gain
/// enough (Armijo's rule).
fn minimise(problem: &Problem, mut weights: Vec<f32>, steps: usize) -> Vec<f32> {
    let mut point = problem.at(&weights);
    let mut changes: Vec<Change> = Vec::new();

    for _ in 0..steps {
        if dot(&point.gradient, &point.gradient).sqrt() < TOLERANCE {
            break;
        }
        let direction = direction(&point.gradient, &changes);
        let slope = dot(&direction, &point.gradient);

        let mut length = 1.0f32;
        let (next_weights, next) = loop {
            let moved: Vec<f32> =
                weights.iter().zip(&direction).map(|(w, d)| w + length * d).collect();
            let next = problem.at(&moved);
            if next.value <= point.value + 1e-4 * f64::from(length) * slope {
                break (moved, next);
            }
            length *= 0.5;
            if length < 1e-6 {
                // Rounding hides what is left to gain.
                return weights;
            }
        };

        let change = Change {
            weights: difference(&next_weights, &weights),
            gradient: difference(&next.gradient, &point.gradient),
        };
        if dot(&change.weights, &change.gradient) > 0.0 {
            changes.push(change);
            changes.drain(..changes.len().saturating_sub(MEMORY));
        }
        (weights, point) = (next_weights, next);
    }
    weights
}

/// The direction of steepest descent in the metric of the estimated curvature (Nocedal and Wright
/// 2006, algorithm 7.4).
fn direction(gradient: &[f32], changes: &[Change]) -> Vec<f32> {
    let mut direction: Vec<f32> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::new();
    for change in changes.iter().rev() {
        let share = dot(&change.weights, &direction) / dot(&change.weights, &change.gradient);
        add_scaled(&mut direction, -share, &change.gradient);
        shares.push(share);
    }

    let scale = match changes.last() {
        Some(last) => dot(&last.weights, &last.gradient) / dot(&last.gradient, &last.gradient),
        None => 1.0 / dot(gradient, gradient).sqrt().max(1.0),
    };
    direction.iter_mut().for_each(|d| *d = (f64::from(*d) * scale) as f32);

    for (change, share) in changes.iter().zip(shares.into_iter().rev()) {
        let other = dot(&change.gradient, &direction) / dot(&change.weights, &change.gradient);
        add_scaled(&mut direction, share - other, &change.weights);
    }
    direction
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn add_scaled(target: &mut [f32], scale: f64, of: &[f32]) {
    target
        .iter_mut()
        .zip(of)
        .for_each(|(t, x)| *t = (f64::from(*t) + scale * f64::from(*x)) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus::{keyed_rng, uniform};

    fn features(rows: usize, width: usize, f: impl Fn(usize, usize) -> f32) -> MeanStates {
        let values = (0..rows * width).map(|i| f(i / width, i % width)).collect();
        MeanStates { values, width }
    }

    #[test]
    fn the_weights_of_two_points_solve_their_equation() {
        // Two standardised points at -1 and 1 with two classes: by symmetry the weights are -w, w,
        // and the derivative is zero where 1 / (1 + exp(2 w)) = decay * w.
        let states = features(2, 1, |row, _| row as f32 * 8.0 + 3.0);
        let config = LogisticConfig { decay: 0.1, steps: 200 };
        let fitted = Classifier::fit(&states, &[0, 1], 2, config);
        let w = f64::from(fitted.weights[1]);
        assert!((f64::from(fitted.weights[0]) + w).abs() < 1e-4, "{:?}", fitted.weights);
        let left = 1.0 / (1.0 + (2.0 * w).exp()) - 0.1 * w;
        assert!(left.abs() < 1e-4, "w = {w} leaves {left}");
    }

    #[test]
    fn the_gradient_is_zero_where_the_fit_ends() {
        let draw = |row: usize, column: usize| {
            uniform(&mut keyed_rng("features", 1, row as u64, column as u64)) as f32
        };
        let states = features(300, 7, draw);
        let labels: Vec<u32> =
            (0..300).map(|row| (draw(row, 0) * 2.0 + draw(row, 3)) as u32).collect();
        let config = LogisticConfig { decay: 1e-2, steps: 500 };
        let fitted = Classifier::fit(&states, &labels, 3, config);

        let problem = Problem {
            features: fitted.scale.apply(&states, &Device::flex().autodiff()),
            labels,
            classes: 3,
            width: 7,
            decay: 1e-2,
        };
        let least = problem.at(&fitted.weights);
        assert!(dot(&least.gradient, &least.gradient).sqrt() < 1e-4);
        // No step in any direction leads below.
        for i in 0..fitted.weights.len() {
            for step in [-0.05, 0.05] {
                let mut moved = fitted.weights.clone();
                moved[i] += step;
                assert!(problem.at(&moved).value > least.value);
            }
        }
    }

    #[test]
    fn what_a_line_separates_is_told_apart_and_noise_is_not() {
        let draw = |row: usize, column: usize| {
            uniform(&mut keyed_rng("points", 5, row as u64, column as u64)) as f32
        };
        let (train, test) =
            (features(600, 4, draw), features(600, 4, |row, column| draw(row + 600, column)));
        let is_over = |row: usize| u32::from(draw(row, 1) > draw(row, 2));
        let labels = |first: usize| (first..first + 600).map(is_over).collect::<Vec<u32>>();
        let config = LogisticConfig { decay: 1e-3, steps: 200 };
        let fitted = Classifier::fit(&train, &labels(0), 2, config);
        assert!(fitted.accuracy(&test, &labels(600)) > 0.97);

        let coin = |row: usize| u32::from(draw(row, 9) > 0.5);
        let coins = |first: usize| (first..first + 600).map(coin).collect::<Vec<u32>>();
        let fitted = Classifier::fit(&train, &coins(0), 2, config);
        assert!((fitted.accuracy(&test, &coins(600)) - 0.5).abs() < 0.1);
    }
}
