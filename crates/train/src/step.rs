//! One optimizer step: passes forward and backward side by side, one gradient, one update.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use checkpoint::{Weights, weights};
use objective::{Objective, Term, TokenOutcomes, Workers};
use trunk::Noise;

use crate::average::Average;
use crate::error::Result;
use crate::feed::{GlobalBatch, Micro};
use crate::gradients::{GradientSum, clip_factor};
use crate::optimizer::Optimizer;

/// The sum of a loss term, still on the device.
#[derive(Clone, Debug)]
pub struct TermSum {
    /// Its name.
    pub name: &'static str,
    /// What its mean is multiplied by in the loss.
    pub coefficient: f64,
    /// The sum, `[1]`.
    pub sum: Tensor<1>,
}

/// The losses of a step, still on the device.
#[derive(Debug)]
pub struct Losses {
    /// The terms, summed over the micro-batches.
    pub terms: Vec<TermSum>,
    /// Norm of the gradient before clipping, `[1]`.
    pub norm: Tensor<1>,
    /// What came of the tokens that were predicted, where the objective asks for it.
    pub outcomes: Vec<TokenOutcomes>,
}

/// Marks the model's own weights among what the optimizer keeps.
const OWN: &str = "weight.";

/// A model, its optimizer, and what computes their steps.
#[derive(Debug)]
pub struct Stepper<O: Objective> {
    objective: Arc<O>,
    /// None only while it is updated: a second owner would make the update copy the weights.
    model: Option<O::Model>,
    /// The moving average of the weights, where one is kept.
    average: Option<Average>,
    /// The optimizer and its state.
    pub optimizer: Optimizer,
    /// The device, with autodiff.
    pub device: Device,
    /// What computes the micro-batches.
    pub workers: Arc<Workers>,
}

impl<O: Objective> Stepper<O> {
    /// A stepper of `model`, which is on `device`.
    pub fn new(
        objective: Arc<O>,
        model: O::Model,
        optimizer: Optimizer,
        device: Device,
        workers: Arc<Workers>,
    ) -> Self {
        let decay = optimizer.config().average;
        let average = (decay > 0.0).then(|| Average::new(decay));
        Self { objective, model: Some(model), average, optimizer, device, workers }
    }

    /// The model.
    pub fn model(&self) -> &O::Model {
        self.model.as_ref().expect("only taken out within a method")
    }

    /// The model that the run is judged by: with the average of the weights, where one is kept.
    pub fn judged(&self) -> O::Model {
        let model = self.model().clone();
        match &self.average {
            Some(average) if self.optimizer.steps() > 0 => average.of(model),
            _ => model,
        }
    }

    /// Takes over what a checkpoint has: the weights of the judged model, and what the optimizer
    /// keeps, with the model's own weights where those are averages.
    ///
    /// # Errors
    /// When they belong to another model.
    pub fn restore(&mut self, judged: &Weights, kept: &Weights) -> Result<()> {
        let device = self.device.clone().without_autodiff();
        let own: Weights = kept
            .iter()
            .filter_map(|(name, weight)| Some((name.strip_prefix(OWN)?.to_owned(), weight.clone())))
            .collect();
        let own = if own.is_empty() { judged } else { &own };

        self.model = Some(weights::load(self.model().clone(), own)?);
        if let Some(average) = &mut self.average {
            average.restore(judged, &device);
        }
        self.optimizer.restore(kept, own, &device)
    }

    /// What [`Stepper::restore`] takes: the judged model's weights, and what the optimizer keeps.
    pub fn kept(&self) -> (Weights, Weights) {
        let mut kept = self.optimizer.state();
        if self.average.is_some() {
            let own = weights::collect(self.model());
            kept.extend(own.into_iter().map(|(name, weight)| (format!("{OWN}{name}"), weight)));
        }
        (weights::collect(&self.judged()), kept)
    }

    /// One step with the peak learning rates multiplied by `factor`. Reads nothing back from the
    /// device.
    ///
    /// # Errors
    /// When a parameter has no gradient.
    pub fn step(&mut self, batch: GlobalBatch<O::Batch>, factor: f64) -> Result<Losses>
    where
        O::Model: Send,
    {
        let (objective, device) = (self.objective.as_ref(), &self.device);
        let counts = &batch.target_counts;

        // Every pass differentiates a graph of its own, whose parameters share the model's memory.
        let fork = |micro| (micro, burn::module::Module::fork(self.model().clone(), device));
        let micro = batch.micro.into_iter().map(fork).collect();
        let pass = |(micro, model): (Micro<O::Batch>, O::Model)| -> Result<_> {
            let mut noise = Noise::new(micro.keys);
            let step = objective.forward(&model, &micro.batch, Some(&mut noise), device);
            let gradients = GradientSum::of(&model, step.loss(counts).backward())?;
            let terms = step.terms.into_iter().map(TermSum::of).collect::<Vec<_>>();
            Ok((gradients, (terms, step.outcomes)))
        };
        let passes = self.workers.map(micro, pass).into_iter().collect::<Result<Vec<_>>>()?;

        let (gradients, parts): (Vec<_>, Vec<_>) = passes.into_iter().unzip();
        let (parts, outcomes): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let terms = parts.into_iter().reduce(add).unwrap_or_default();
        let gradients = GradientSum::total(gradients);

        let norm = gradients.norm();
        let scale = clip_factor(&norm, self.optimizer.config().clip_norm);

        let model = self.model.take().expect("only taken out within a method");
        let model = self.objective.before_update(model);
        let model = self.optimizer.step(model, gradients, scale, factor);
        let model = self.objective.after_update(model);
        if let Some(average) = &mut self.average {
            average.follow(&model, self.optimizer.steps());
        }
        self.model = Some(model);
        Ok(Losses { terms, norm, outcomes: outcomes.into_iter().flatten().collect() })
    }
}

impl TermSum {
    fn of(term: Term) -> Self {
        let Term { tally, coefficient } = term;
        Self { name: tally.name, coefficient, sum: tally.sum.inner() }
    }
}

/// The sums of two parts of a step, term by term.
fn add(sums: Vec<TermSum>, part: Vec<TermSum>) -> Vec<TermSum> {
    let pairs = sums.into_iter().zip(part);
    pairs.map(|(sum, part)| TermSum { sum: sum.sum + part.sum, ..sum }).collect()
}
