//! One optimizer step: passes forward and backward side by side, one gradient, one update.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use objective::{Objective, Term, Workers};
use trunk::Noise;

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
}

/// A model, its optimizer, and what computes their steps.
#[derive(Debug)]
pub struct Stepper<O: Objective> {
    objective: Arc<O>,
    /// None only while it is updated: a second owner would make the update copy the weights.
    model: Option<O::Model>,
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
        Self { objective, model: Some(model), optimizer, device, workers }
    }

    /// The model.
    pub fn model(&self) -> &O::Model {
        self.model.as_ref().expect("only taken out within a method")
    }

    /// Replaces the model.
    pub fn set_model(&mut self, model: O::Model) {
        self.model = Some(model);
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
            Ok((gradients, step.terms.into_iter().map(TermSum::of).collect::<Vec<_>>()))
        };
        let passes = self.workers.map(micro, pass).into_iter().collect::<Result<Vec<_>>>()?;

        let (gradients, parts): (Vec<_>, Vec<_>) = passes.into_iter().unzip();
        let terms = parts.into_iter().reduce(add).unwrap_or_default();
        let gradients = GradientSum::total(gradients);

        let norm = gradients.norm();
        let scale = clip_factor(&norm, self.optimizer.config().clip_norm);

        let model = self.model.take().expect("only taken out within a method");
        self.model = Some(self.optimizer.step(model, gradients, scale, factor));
        Ok(Losses { terms, norm })
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
