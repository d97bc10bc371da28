//! Trials that every objective must pass. Each panics with what went wrong.
//!
//! A trial is given an objective under test, a small encoder and examples; the root package runs
//! all of them for every objective of its registry, on every backend it was built with.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderConfig, Noise};

use crate::contract::{Objective, Purpose};
use crate::example::Example;
use crate::step::Step;

/// The setting of the trials.
#[derive(Debug)]
pub struct Bench<'a, O: Objective> {
    /// The objective under test.
    pub objective: &'a O,
    /// A small encoder.
    pub encoder: EncoderConfig,
    /// At least four examples of different lengths.
    pub examples: Vec<Example>,
    /// A device without autodiff.
    pub device: Device,
}

impl<O: Objective> Bench<'_, O> {
    /// Runs every trial.
    pub fn run(&self) {
        self.the_same_seed_gives_the_same_batch();
        self.another_epoch_gives_another_training_batch_and_the_same_evaluation_batch();
        self.a_row_does_not_depend_on_its_neighbours();
        self.target_counts_are_known_before_the_forward_pass();
        self.the_loss_is_finite();
        self.gradients_reach_every_parameter();
        self.micro_batches_add_up_to_the_batch();
        self.a_batch_can_be_overfitted();
    }

    fn batch(&self) -> O::Batch {
        self.objective.collate(&self.examples, Purpose::Training)
    }

    fn model(&self) -> O::Model {
        self.objective.init(
            &self.encoder,
            &mut ChaCha8Rng::seed_from_u64(1),
            &self.device.clone().autodiff(),
        )
    }

    fn noise(&self, examples: &[Example]) -> Noise {
        Noise::new(examples.iter().map(Example::noise_key).collect())
    }

    fn the_same_seed_gives_the_same_batch(&self) {
        assert_eq!(self.batch(), self.batch(), "{}: two collations differ", O::NAME);
    }

    fn another_epoch_gives_another_training_batch_and_the_same_evaluation_batch(&self) {
        let mut later = self.examples.clone();
        later.iter_mut().for_each(|example| example.epoch += 1);
        let batch = self.objective.collate(&later, Purpose::Training);
        // If nothing is drawn, batches of training and of evaluation are equal.
        let draws = self.batch() != self.objective.collate(&self.examples, Purpose::Evaluation);
        assert!(
            !draws || batch != self.batch(),
            "{}: masks did not change with the epoch",
            O::NAME
        );

        let evaluation = |epoch| {
            let mut examples = self.examples.clone();
            examples.iter_mut().for_each(|example| example.epoch = epoch);
            self.objective.collate(&examples, Purpose::Evaluation)
        };
        let fixed = evaluation(Example::EVALUATION);
        assert_eq!(fixed, evaluation(Example::EVALUATION), "{}: evaluation is not fixed", O::NAME);
    }

    fn a_row_does_not_depend_on_its_neighbours(&self) {
        let all = self.batch();
        for (row, example) in self.examples.iter().enumerate() {
            let alone = self.objective.collate(std::slice::from_ref(example), Purpose::Training);
            let (alone, beside) = (self.objective.show(&alone, 0), self.objective.show(&all, row));
            assert_eq!(alone, beside, "{}: row {row} depends on the batch", O::NAME);
        }
    }

    fn target_counts_are_known_before_the_forward_pass(&self) {
        let (batch, model) = (self.batch(), self.model().valid());
        let step = self.objective.forward(&model, &batch, None, &self.device);
        let counts: Vec<f64> = step.terms.iter().map(|term| term.tally.count).collect();
        assert_eq!(
            self.objective.target_counts(&batch),
            counts,
            "{}: target counts differ from the forward pass",
            O::NAME
        );
        assert!(!step.tallies.is_empty(), "{}: an evaluation pass has metrics", O::NAME);
    }

    fn the_loss_is_finite(&self) {
        let batch = self.batch();
        let loss = self.loss(&self.model(), &[(batch, self.examples.clone())])[0];
        assert!(loss.is_finite() && loss > 0.0, "{}: loss {loss}", O::NAME);
    }

    fn gradients_reach_every_parameter(&self) {
        let model = self.model();
        let step = self.step(&model, &self.batch(), &self.examples);
        let grads = step.loss(&self.objective.target_counts(&self.batch())).backward();
        let mut found = FindGradients { grads: &grads, path: Vec::new(), missing: Vec::new() };
        model.visit(&mut found);
        assert!(
            found.missing.is_empty(),
            "{}: no gradient for {}",
            O::NAME,
            found.missing.join(", ")
        );
    }

    fn micro_batches_add_up_to_the_batch(&self) {
        let model = self.model();
        let whole = self.loss(&model, &[(self.batch(), self.examples.clone())]);

        let parts: Vec<_> = self
            .examples
            .chunks(self.examples.len().div_ceil(2))
            .map(|part| (self.objective.collate(part, Purpose::Training), part.to_vec()))
            .collect();
        let parts: f32 = self.loss(&model, &parts).iter().sum();

        let difference = (whole[0] - parts).abs();
        // Sums of a few hundred floats in another order differ by rounding.
        assert!(difference < 1e-4 * whole[0].abs(), "{}: {} is not {parts}", O::NAME, whole[0]);
    }

    fn a_batch_can_be_overfitted(&self) {
        let encoder =
            EncoderConfig { dropout: 0.0, attention_dropout: 0.0, ..self.encoder.clone() };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut model = self.objective.init(&encoder, &mut rng, &self.device.clone().autodiff());
        let batch = self.batch();
        let counts = self.objective.target_counts(&batch);

        let mut losses = Vec::new();
        for _ in 0..STEPS {
            let loss = self.step(&model, &batch, &self.examples).loss(&counts);
            losses.push(loss.clone().into_scalar::<f32>());
            let grads = loss.backward();

            let mut norm = SquaredNorm { grads: &grads, sum: Tensor::zeros([1], &self.device) };
            model.visit(&mut norm);
            // The gradient is clipped: losses have coefficients of up to 50.
            let rate = 0.5 / f64::from(norm.sum.into_scalar::<f32>()).sqrt().max(1.0);
            model = model.map(&mut Descend { grads, rate });
        }

        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(
            last < 0.5 * first,
            "{}: {STEPS} steps on one batch only took {first} to {last}",
            O::NAME
        );
    }

    fn step(&self, model: &O::Model, batch: &O::Batch, examples: &[Example]) -> Step {
        let device = self.device.clone().autodiff();
        self.objective.forward(model, batch, Some(&mut self.noise(examples)), &device)
    }

    /// The losses of micro-batches of one step.
    fn loss(&self, model: &O::Model, parts: &[(O::Batch, Vec<Example>)]) -> Vec<f32> {
        let counts = parts.iter().map(|(batch, _)| self.objective.target_counts(batch));
        let counts =
            counts.reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect()).expect("a batch");
        let loss = |(batch, examples): &(O::Batch, Vec<Example>)| {
            self.step(model, batch, examples).loss(&counts)
        };
        parts.iter().map(|part| loss(part).into_scalar::<f32>()).collect()
    }
}

/// Collects the names of parameters without a gradient.
struct FindGradients<'a> {
    grads: &'a Gradients,
    path: Vec<String>,
    missing: Vec<String>,
}

impl ModuleVisitor for FindGradients<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() && param.val().grad(self.grads).is_none() {
            self.missing.push(self.path.join("."));
        }
    }
}

/// Steps in which a batch must be learnt.
const STEPS: usize = 40;

/// Sums the squares of all gradients on the device: reading from a GPU is slow.
struct SquaredNorm<'a> {
    grads: &'a Gradients,
    sum: Tensor<1>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.grads) {
            self.sum = self.sum.clone() + gradient.powi_scalar(2).sum();
        }
    }
}

/// One step of gradient descent.
struct Descend {
    grads: Gradients,
    rate: f64,
}

impl ModuleMapper for Descend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let grads = &mut self.grads;
        let rate = self.rate;
        param.map(|value| match value.grad_remove(grads) {
            Some(grad) => (value.inner() - grad * rate).autodiff().require_grad(),
            None => value,
        })
    }
}
