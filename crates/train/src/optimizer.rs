//! AdamW (Loshchilov and Hutter 2019), LAMB (You et al. 2020), AdaDelta (Zeiler 2012) and Muon
//! (Jordan et al. 2024).

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use checkpoint::{FieldPath, HostTensor, Weights};
use kernels::{AdamStep, Moments, MuonStep};
use trunk::as_parameter;

use crate::error::{Error, Result};
use crate::gradients::GradientSum;
use crate::momenta::{Momenta, is_layer_matrix};
use crate::optimizer_config::{OptimizerConfig, OptimizerKind};

/// An optimizer and its state, which lies on the device.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    /// Distinct layers of the encoder.
    layers: usize,
    count: i32,
    moments: BTreeMap<String, Moments>,
    /// The momenta of the matrices that Muon updates.
    momenta: Momenta,
}

impl Optimizer {
    /// An optimizer that has not taken a step, for a model whose encoder has `layers` distinct
    /// layers.
    pub fn new(config: OptimizerConfig, layers: usize) -> Self {
        Self { config, layers, count: 0, moments: BTreeMap::new(), momenta: Momenta::default() }
    }

    /// The number of steps so far.
    pub fn steps(&self) -> u64 {
        self.count as u64
    }

    /// The configuration.
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// One update by `scale`, `[1]`, times the gradients, with the peak learning rates multiplied by
    /// `factor`. Parameters without a gradient stay as they are.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        mut gradients: GradientSum,
        scale: Tensor<1>,
        factor: f64,
    ) -> M {
        self.count += 1;
        let moved = match self.config.kind {
            OptimizerKind::Muon => {
                let OptimizerConfig { matrix_learning_rate: peak, momentum, .. } = self.config;
                let step = MuonStep {
                    momentum,
                    decay: self.decay(peak),
                    is_cautious: self.config.cautious_decay,
                    iterations: self.config.newton_schulz_steps,
                };
                let rate =
                    |name: &str| peak * factor * layer_factor(&self.config, self.layers, name);
                self.momenta.step(&module, &mut gradients, &scale, &step, rate)
            }
            _ => BTreeMap::new(),
        };
        let path = FieldPath::default();
        module.map(&mut Update { optimizer: self, gradients, moved, scale, factor, path })
    }

    /// The weight decay of parameters whose peak learning rate is `peak`, to be multiplied by the
    /// learning rate.
    fn decay(&self, peak: f64) -> f64 {
        let decay = self.config.weight_decay;
        if self.config.independent_decay { decay / peak } else { decay }
    }

    /// The state: `mean.NAME` of every parameter, `square.NAME` of those that Muon does not update,
    /// and the number of steps.
    pub fn state(&self) -> Weights {
        let mut state = Weights::new();
        for (name, moments) in &self.moments {
            state.insert(format!("mean.{name}"), HostTensor::of(moments.mean.clone()));
            state.insert(format!("square.{name}"), HostTensor::of(moments.square.clone()));
        }
        for (name, momentum) in &self.momenta.0 {
            state.insert(format!("mean.{name}"), HostTensor::of(momentum.clone()));
        }
        // An f32 holds the count exactly up to 2^24 steps.
        state.insert(
            "count".to_owned(),
            HostTensor { shape: vec![1], values: vec![self.count as f32] },
        );
        state
    }

    /// Takes over a state of [`Optimizer::state`] for parameters `weights`.
    ///
    /// # Errors
    /// Names a parameter whose moments are missing or of another length.
    pub fn restore(&mut self, state: &Weights, weights: &Weights, device: &Device) -> Result<()> {
        let missing = |name: &str| Error::Data(format!("the optimizer's state has no `{name}`"));
        let count = state.get("count").and_then(|count| count.values.first());
        let count = count.ok_or_else(|| missing("count"))?.round() as i32;

        let moment = |name: String, length: usize| -> Result<Tensor<1>> {
            let tensor = state.get(&name).ok_or_else(|| missing(&name))?;
            if tensor.values.len() != length {
                let message = format!("the optimizer's `{name}` is of another model");
                return Err(Error::Data(message));
            }
            Ok(Tensor::from_data(tensor.data(), device))
        };

        // A parameter that has had no gradient, such as a frozen generator's, has no moments.
        let known = |name: &str| {
            ["mean", "square"].iter().any(|kind| state.contains_key(&format!("{kind}.{name}")))
        };
        let (mut moments, mut momenta) = (BTreeMap::new(), Momenta::default());
        for (name, weight) in weights.iter().filter(|(name, _)| known(name)) {
            let mean = moment(format!("mean.{name}"), weight.values.len())?;
            if self.config.kind == OptimizerKind::Muon && is_layer_matrix(name, &weight.shape) {
                momenta.0.insert(name.clone(), mean);
                continue;
            }
            let square = moment(format!("square.{name}"), weight.values.len())?;
            moments.insert(name.clone(), Moments { mean, square });
        }

        (self.moments, self.momenta, self.count) = (moments, momenta, count);
        Ok(())
    }

    /// The new value of a parameter; all tensors flat.
    fn update(&mut self, name: &str, weight: Tensor<1>, change: Change) -> Tensor<1> {
        let Change { gradient, scale, rate, decays } = change;
        let OptimizerConfig { learning_rate, beta1, beta2, epsilon, .. } = self.config;
        let corrected = |value: f64| if self.config.bias_correction { value } else { 1.0 };
        let step = AdamStep {
            rate,
            beta1,
            beta2,
            epsilon,
            decay: if decays { self.decay(learning_rate) } else { 0.0 },
            is_cautious: self.config.cautious_decay,
            mean_scale: corrected(1.0 / (1.0 - beta1.powi(self.count))),
            root_scale: corrected(1.0 / (1.0 - beta2.powi(self.count)).sqrt()),
        };

        let new = || Moments { mean: weight.zeros_like(), square: weight.zeros_like() };
        let moments = self.moments.remove(name).unwrap_or_else(new);
        // LAMB scales only what it decays; biases and norms follow Adam's direction as it is.
        let rule = match self.config.kind {
            OptimizerKind::Lamb if decays => kernels::lamb,
            OptimizerKind::Adadelta => kernels::adadelta,
            _ => kernels::adamw,
        };
        let (weight, moments) = rule(weight, gradient, moments, scale, &step);
        self.moments.insert(name.to_owned(), moments);
        weight
    }
}

/// How a parameter is to change.
struct Change {
    gradient: Tensor<1>,
    /// What the gradient is multiplied by, `[1]`.
    scale: Tensor<1>,
    rate: f64,
    /// Whether the parameter decays.
    decays: bool,
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: GradientSum,
    /// New weights that are known already, flat.
    moved: BTreeMap<String, Tensor<1>>,
    scale: Tensor<1>,
    factor: f64,
    path: FieldPath,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let shape = param.dims();
        let n = shape.iter().product::<usize>();
        if let Some(moved) = self.moved.remove(&name) {
            return param.map(|value| as_parameter(moved.reshape(shape), &value.device()));
        }
        let Some(gradient) = self.gradients.take(&name, [n]) else { return param };

        // Biases and norms, which are all the parameters with one axis, are neither decayed nor
        // given a trust ratio.
        let decays = D > 1 || self.optimizer.config.decay_all;

        param.map(|value| {
            let device = value.device();
            let flat = value.inner().reshape([n]);
            let peak = self.optimizer.config.learning_rate;
            let rate = peak
                * self.factor
                * layer_factor(&self.optimizer.config, self.optimizer.layers, &name);

            let change = Change { gradient, scale: self.scale.clone(), rate, decays };
            let new = self.optimizer.update(&name, flat, change);
            as_parameter(new.reshape(shape), &device)
        })
    }
}

/// What the learning rate of a parameter is multiplied with for its distance from the head.
fn layer_factor(config: &OptimizerConfig, layers: usize, name: &str) -> f64 {
    config.layer_decay.powi(distance(name, layers))
}

/// How far a parameter is from the head, see [`OptimizerConfig::layer_decay`].
fn distance(name: &str, layers: usize) -> i32 {
    let head = layers + 2;
    let Some(part) = name.strip_prefix("encoder.") else { return 0 };
    let layer = part.split('.').nth(2).and_then(|index| index.parse::<usize>().ok());
    let depth = match layer {
        Some(layer) => layer + 1,
        None if part.starts_with("stack.final_norm") => layers,
        None => 0,
    };
    (head - depth.min(head)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradients::floats;
    use checkpoint::weights::{bytes, collect};
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use trunk::{Encoder, EncoderConfig, Linear};

    fn layer() -> Linear {
        Linear::init(2, 2, 0.5, &mut ChaCha8Rng::seed_from_u64(3), &Device::flex().autodiff())
    }

    fn gradient(step: usize) -> GradientSum {
        let mut gradients = GradientSum::default();
        let values: Vec<f32> = (0..4).map(|i| ((i + 7 * step) as f32 * 1.3).sin() * 0.1).collect();
        gradients.insert("weight", floats(&values).reshape([2, 2]));
        gradients.insert("bias", floats(&values[..2]));
        gradients
    }

    fn one() -> Tensor<1> {
        floats(&[1.0])
    }

    fn moved(config: &OptimizerConfig) -> Vec<f32> {
        let before = collect(&layer())["weight"].values.clone();
        let after = Optimizer::new(config.clone(), 0).step(layer(), gradient(1), one(), 1.0);
        collect(&after)["weight"].values.iter().zip(before).map(|(a, b)| a - b).collect()
    }

    #[test]
    fn the_first_step_without_bias_correction_is_about_three_times_the_rate() {
        let config = OptimizerConfig {
            weight_decay: 0.0,
            bias_correction: false,
            ..OptimizerConfig::default()
        };

        let gradient: Vec<f32> = (0..4).map(|i| ((i + 7) as f32 * 1.3).sin() * 0.1).collect();
        for (moved, g) in moved(&config).iter().zip(&gradient) {
            let g = f64::from(*g);
            // 0.1 g / (sqrt(0.001) |g| + eps), close to 3.16 sign(g).
            let expected = -1e-4 * 0.1 * g / ((0.001 * g * g).sqrt() + 1e-6);
            assert!((f64::from(*moved) - expected).abs() < 1e-6, "{moved} {expected}");
            assert!((moved.abs() / 1e-4 - 3.16).abs() < 0.02);
        }

        let config = OptimizerConfig { bias_correction: true, ..config };
        assert!(moved(&config).iter().all(|moved| (moved.abs() / 1e-4 - 1.0).abs() < 1e-2));
    }

    /// The published formulas in double precision on the host.
    fn reference(
        config: &OptimizerConfig,
        steps: usize,
        rate: f64,
    ) -> BTreeMap<&'static str, Vec<f64>> {
        let start = collect(&layer());
        let mut result = BTreeMap::new();

        for (name, n, decays) in [("weight", 4, true), ("bias", 2, config.decay_all)] {
            let mut w: Vec<f64> = start[name].values.iter().map(|w| f64::from(*w)).collect();
            let (mut m, mut v) = (vec![0.0; n], vec![0.0; n]);

            for step in 1..=steps {
                let g: Vec<f64> =
                    (0..n).map(|i| f64::from(((i + 7 * step) as f32 * 1.3).sin() * 0.1)).collect();

                let mut u = vec![0.0; n];
                for i in 0..n {
                    m[i] = config.beta1 * m[i] + (1.0 - config.beta1) * g[i];
                    v[i] = config.beta2 * v[i] + (1.0 - config.beta2) * g[i] * g[i];
                    let (mut mean, mut square) = (m[i], v[i]);
                    if config.bias_correction {
                        mean /= 1.0 - config.beta1.powi(step as i32);
                        square /= 1.0 - config.beta2.powi(step as i32);
                    }
                    u[i] = mean / (square.sqrt() + config.epsilon);
                    u[i] += if decays { config.weight_decay * w[i] } else { 0.0 };
                }

                let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
                let (wn, un) = (norm(&w), norm(&u));
                let lamb = config.kind == OptimizerKind::Lamb && decays && wn > 0.0 && un > 0.0;
                let ratio = if lamb { wn / un } else { 1.0 };
                w.iter_mut().zip(&u).for_each(|(w, u)| *w -= rate * ratio * u);
            }

            result.insert(name, w);
        }
        result
    }

    #[test]
    fn ten_steps_follow_the_published_formulas() {
        for kind in [OptimizerKind::Adamw, OptimizerKind::Lamb] {
            for (bias_correction, decay_all) in [(true, false), (false, false), (false, true)] {
                let config = OptimizerConfig {
                    kind,
                    bias_correction,
                    decay_all,
                    weight_decay: 0.1,
                    ..Default::default()
                };

                let mut optimizer = Optimizer::new(config.clone(), 0);
                let mut module = layer();
                for step in 1..=10 {
                    module = optimizer.step(module, gradient(step), one(), 100.0);
                }

                let weights = collect(&module);
                for (name, expected) in reference(&config, 10, 1e-2) {
                    for (got, want) in weights[name].values.iter().zip(expected) {
                        assert!(
                            (f64::from(*got) - want).abs() < 1e-5,
                            "{config:?} {name}: {got} is not {want}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_restored_optimizer_goes_on_bit_for_bit() {
        let config = OptimizerConfig::default();
        let run = |optimizer: &mut Optimizer, module: Linear, from: usize, to: usize| {
            (from..to)
                .fold(module, |module, step| optimizer.step(module, gradient(step), one(), 100.0))
        };

        let mut straight = Optimizer::new(config.clone(), 0);
        let whole = run(&mut straight, layer(), 0, 6);

        let mut first = Optimizer::new(config.clone(), 0);
        let half = run(&mut first, layer(), 0, 3);

        let mut second = Optimizer::new(config, 0);
        let mut state = first.state();
        second.restore(&state, &collect(&half), &Device::flex()).expect("a state");
        let resumed = run(&mut second, half, 3, 6);

        assert_eq!(
            bytes(&collect(&resumed)).expect("bytes"),
            bytes(&collect(&whole)).expect("bytes")
        );

        state.remove("square.bias");
        let error = second
            .restore(&state, &collect(&whole), &Device::flex())
            .expect_err("refused")
            .to_string();
        assert_eq!(error, "the optimizer's state has no `square.bias`");
    }

    fn encoder() -> Encoder {
        let config = EncoderConfig {
            vocabulary: 9,
            hidden: 8,
            heads: 2,
            layers: 1,
            feed_forward: 16,
            positions: 6,
            ..EncoderConfig::default()
        };
        let device = Device::flex().autodiff();
        Encoder::init(&config, &mut ChaCha8Rng::seed_from_u64(3), &device)
    }

    /// A gradient for every parameter of the encoder.
    fn encoder_gradient(step: usize) -> GradientSum {
        let mut gradients = GradientSum::default();
        for (number, (name, weight)) in collect(&encoder()).into_iter().enumerate() {
            let phase = (step * 31 + number) as f32;
            let wave = (0..weight.values.len()).map(|i| ((i * i) as f32 * 1.7 + phase).sin());
            gradients.insert(&name, floats(&wave.collect::<Vec<_>>()));
        }
        gradients
    }

    fn muon() -> OptimizerConfig {
        OptimizerConfig {
            kind: OptimizerKind::Muon,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            ..OptimizerConfig::default()
        }
    }

    #[test]
    fn muon_moves_the_matrices_of_layers_and_adamw_the_rest() {
        let start = collect(&encoder());
        let after = |config: OptimizerConfig| {
            let mut optimizer = Optimizer::new(config, 1);
            collect(&optimizer.step(encoder(), encoder_gradient(1), one(), 0.5))
        };
        let (by_muon, by_adamw) =
            (after(muon()), after(OptimizerConfig { kind: OptimizerKind::Adamw, ..muon() }));

        for (name, weight) in &by_muon {
            let is_matrix = name.starts_with("encoder.") || name.starts_with("stack.");
            let is_matrix = is_matrix && name.ends_with(".weight");
            assert_eq!(*weight != by_adamw[name], is_matrix, "{name}");
            if is_matrix {
                let moved = weight.values.iter().zip(&start[name].values).map(|(a, b)| a - b);
                let norm = moved.map(|x| x * x).sum::<f32>().sqrt();
                // Half of the rate times a matrix of eight singular values near 1, and the root of
                // two more where it widens.
                let widens = weight.shape[1] > weight.shape[0];
                let want = 0.5 * 0.02 * 8f32.sqrt() * if widens { 2f32.sqrt() } else { 1.0 };
                assert!((0.6..1.3).contains(&(norm / want)), "{name}: {norm} {want}");
            }
        }
    }

    #[test]
    fn a_restored_muon_goes_on_bit_for_bit() {
        let run = |optimizer: &mut Optimizer, module: Encoder, from: usize, to: usize| {
            let step = |module, step| optimizer.step(module, encoder_gradient(step), one(), 1.0);
            (from..to).fold(module, step)
        };
        let config = OptimizerConfig { weight_decay: 0.1, cautious_decay: true, ..muon() };
        let whole = run(&mut Optimizer::new(config.clone(), 1), encoder(), 0, 6);

        let mut first = Optimizer::new(config.clone(), 1);
        let half = run(&mut first, encoder(), 0, 3);
        let state = first.state();
        assert!(state.contains_key("mean.stack.attention.0.query.weight"));
        assert!(!state.contains_key("square.stack.attention.0.query.weight"));

        let mut second = Optimizer::new(config, 1);
        second.restore(&state, &collect(&half), &Device::flex()).expect("a state");
        let resumed = run(&mut second, half, 3, 6);
        assert_eq!(collect(&resumed), collect(&whole));
    }

    #[test]
    fn independent_decay_does_not_know_the_learning_rate() {
        for learning_rate in [1e-3, 1e-1] {
            let config = OptimizerConfig {
                learning_rate,
                weight_decay: 0.25,
                independent_decay: true,
                ..OptimizerConfig::default()
            };
            let mut gradients = GradientSum::default();
            gradients.insert("weight", floats(&[0.0; 4]));
            let before = collect(&layer());
            let after = Optimizer::new(config, 0).step(layer(), gradients, one(), 0.5);
            for (after, before) in
                collect(&after)["weight"].values.iter().zip(&before["weight"].values)
            {
                assert!((after - before * (1.0 - 0.5 * 0.25)).abs() < 1e-7, "{after} {before}");
            }
        }
    }

    #[test]
    fn the_rate_falls_with_the_distance_from_the_head() {
        let of = |name| distance(name, 12);
        assert_eq!(of("task.output.weight"), 0);
        assert_eq!(of("encoder.stack.feed_forward.11.inner.weight"), 2);
        assert_eq!(of("encoder.stack.attention.0.query.weight"), 13);
        assert_eq!(
            (of("encoder.embeddings.tokens"), of("encoder.stack.projection.weight")),
            (14, 14)
        );
    }
}
