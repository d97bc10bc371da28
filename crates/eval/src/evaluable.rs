//! A trained model that is ready to be evaluated, whatever its objective.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use corpus::Tokenizer;
use objective::{Context, Example, Objective, Packing, Purpose, Shown, Workers};
use toml::Table;
use trunk::{EncoderConfig, Predicted, Sequences};

use crate::error::{Error, Result};
use crate::sums::BatchSums;

/// An objective with trained weights.
#[derive(Debug)]
pub struct LoadedModel<O: Objective> {
    /// The objective.
    pub objective: Arc<O>,
    /// Shape of the encoder.
    pub encoder: EncoderConfig,
    /// The weights, on `device`, without autodiff.
    pub model: O::Model,
    /// The tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// Where the weights are.
    pub device: Device,
    /// What computes batches side by side.
    pub workers: Arc<Workers>,
    /// Whether a user asked to stop; called before every batch.
    pub is_interrupted: fn() -> bool,
}

/// What evaluation needs of a model, whatever its objective.
pub trait Evaluable: Send + Sync {
    /// The name of the objective.
    fn objective_name(&self) -> &'static str;

    /// Shape of the encoder.
    fn encoder(&self) -> &EncoderConfig;

    /// The tokenizer.
    fn tokenizer(&self) -> &Tokenizer;

    /// What computes batches side by side.
    fn workers(&self) -> &Workers;

    /// Checks that no user asked to stop.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    fn check_interrupt(&self) -> Result<()>;

    /// The number of parameters.
    fn parameters(&self) -> usize;

    /// As [`Objective::packing`].
    fn packing(&self) -> Packing;

    /// As [`Objective::partner_epoch`], in evaluation.
    fn partner_epoch(&self) -> Option<u64>;

    /// As [`Objective::predictor`].
    fn predictor(&self) -> (EncoderConfig, usize);

    /// As [`Objective::predict`].
    fn predict(&self, sequences: &Sequences, positions: &[u32]) -> Option<Predicted<'_>>;

    /// As [`Objective::token_scores`].
    fn token_scores(&self, sequences: &Sequences) -> Option<Vec<Vec<f32>>>;

    /// Losses, metrics and outputs of one batch, in evaluation.
    fn sums(&self, examples: &[Example]) -> BatchSums;

    /// The outputs of one batch, in evaluation, and nothing else.
    fn outputs(&self, examples: &[Example]) -> Vec<Vec<f32>>;

    /// As [`Objective::metrics`].
    fn metrics(&self, examples: &[Example], outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)>;

    /// Floating-point operations of one forward pass over `examples`.
    fn flops(&self, examples: &[Example]) -> f64;

    /// The sequences that `example` becomes in evaluation, as the model sees them.
    fn shown(&self, example: &Example) -> Vec<Vec<Shown>>;

    /// The same weights under other knobs of the objective.
    ///
    /// # Errors
    /// When the objective does not know a knob, or refuses its value.
    fn with_knobs(&self, knobs: Table, context: &Context) -> Result<Box<dyn Evaluable>>;
}

impl<O: Objective> Evaluable for LoadedModel<O> {
    fn objective_name(&self) -> &'static str {
        O::NAME
    }

    fn encoder(&self) -> &EncoderConfig {
        &self.encoder
    }

    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn workers(&self) -> &Workers {
        &self.workers
    }

    fn check_interrupt(&self) -> Result<()> {
        if (self.is_interrupted)() { Err(Error::Interrupted) } else { Ok(()) }
    }

    fn parameters(&self) -> usize {
        self.model.num_params()
    }

    fn packing(&self) -> Packing {
        self.objective.packing()
    }

    fn partner_epoch(&self) -> Option<u64> {
        self.objective.partner_epoch(Example::EVALUATION)
    }

    fn predictor(&self) -> (EncoderConfig, usize) {
        self.objective.predictor(&self.model, &self.encoder)
    }

    fn predict(&self, sequences: &Sequences, positions: &[u32]) -> Option<Predicted<'_>> {
        self.objective.predict(&self.model, sequences, positions, &self.device)
    }

    fn token_scores(&self, sequences: &Sequences) -> Option<Vec<Vec<f32>>> {
        self.objective.token_scores(&self.model, sequences, &self.device)
    }

    fn sums(&self, examples: &[Example]) -> BatchSums {
        let batch = self.objective.collate(examples, Purpose::Evaluation);
        let tokens = self.objective.sequences(&batch).real_tokens() as u64;
        BatchSums::read(self.objective.forward(&self.model, &batch, None, &self.device), tokens)
    }

    fn outputs(&self, examples: &[Example]) -> Vec<Vec<f32>> {
        let batch = self.objective.collate(examples, Purpose::Evaluation);
        self.objective.forward(&self.model, &batch, None, &self.device).outputs
    }

    fn metrics(&self, examples: &[Example], outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)> {
        self.objective.metrics(examples, outputs)
    }

    fn flops(&self, examples: &[Example]) -> f64 {
        let batch = self.objective.collate(examples, Purpose::Evaluation);
        self.objective.flops(&self.encoder, &batch)
    }

    fn shown(&self, example: &Example) -> Vec<Vec<Shown>> {
        shown(self.objective.as_ref(), example)
    }

    fn with_knobs(&self, knobs: Table, context: &Context) -> Result<Box<dyn Evaluable>> {
        let objective = Arc::new(O::new(settings::parse(knobs, "objective.")?, context)?);
        Ok(Box::new(Self {
            objective,
            encoder: self.encoder.clone(),
            model: self.model.clone(),
            tokenizer: self.tokenizer.clone(),
            device: self.device.clone(),
            workers: self.workers.clone(),
            is_interrupted: self.is_interrupted,
        }))
    }
}

/// The sequences that `example` becomes in evaluation under `objective`.
pub(crate) fn shown(objective: &impl Objective, example: &Example) -> Vec<Vec<Shown>> {
    let batch = objective.collate(std::slice::from_ref(example), Purpose::Evaluation);
    (0..objective.sequences(&batch).batch()).map(|row| objective.show(&batch, row)).collect()
}
