//! The trait that every objective implements.

use std::fmt::Debug;

use burn::module::Module;
use burn::tensor::Device;
use hub::{ExportedModel, Family, HubModel, TrainedModel};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use trunk::{EncoderConfig, Noise, Predicted, Sequences};

use crate::context::Context;
use crate::example::Example;
use crate::held_out::HeldOutTask;
use crate::show::Shown;
use crate::step::{Step, TokenWeighting};

/// The purpose of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Drawn anew each epoch.
    Training,
    /// Fixed, and comparable between runs.
    Evaluation,
}

/// Which of a run's evaluations is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The one with the lowest loss.
    LowestLoss,
    /// The one with the highest value of this metric.
    Highest(&'static str),
}

/// How passages are packed for an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Special tokens that a sequence needs besides the tokens of its passage.
    pub special_tokens: usize,
    /// Whether a passage includes the sentence that reaches its length; [`Objective::collate`]
    /// then cuts it.
    pub overfill: bool,
}

/// Why an objective cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("objective.{0}")]
pub struct Error(pub String);

/// A pretraining objective: from passages to batches to losses.
///
/// The methods stand in groups: data, computation, evaluation, inspection, and exchange of
/// parameters with other models.
pub trait Objective: Sized + Send + Sync + 'static {
    /// The command-line value and the prefix of its metrics.
    const NAME: &'static str;
    /// One line for `--help`.
    const ABOUT: &'static str;
    /// Evaluations of held-out text that only models of this objective have.
    const TASKS: &'static [HeldOutTask] = &[];
    /// Whether training needs [`Context::teacher`].
    const NEEDS_TEACHER: bool = false;
    /// The family of transformers whose models this objective trains; none where the shape of the
    /// encoder decides.
    const FAMILY: Option<Family> = None;

    /// The `[objective]` table; unknown keys are refused.
    type Config: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned;
    /// A batch on the host: plain vectors, comparable in tests.
    type Batch: Clone + Debug + PartialEq + Send + 'static;
    /// Encoder and heads.
    type Model: Module + Sync + 'static;

    /// The objective under `config`.
    ///
    /// # Errors
    /// Names the setting at fault, and the values that it may have.
    fn new(config: Self::Config, context: &Context) -> Result<Self, Error>;

    // Data.

    /// How passages are packed.
    fn packing(&self) -> Packing;

    /// The epoch whose draw of [`Example::partner`] the examples of `epoch` have; none where they
    /// need no partner.
    fn partner_epoch(&self, _epoch: u64) -> Option<u64> {
        None
    }

    /// Makes a batch. Its randomness comes from [`Example::rng`] and nowhere else.
    fn collate(&self, examples: &[Example], purpose: Purpose) -> Self::Batch;

    /// The sequences of a batch, for counting tokens.
    fn sequences<'b>(&self, batch: &'b Self::Batch) -> &'b Sequences;

    /// The number of targets of each loss term of `batch`, known before the forward pass, in the
    /// order of [`Step::terms`].
    fn target_counts(&self, batch: &Self::Batch) -> Vec<f64>;

    // Computation.

    /// A new model with weights from `rng`.
    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self::Model;

    /// How [`Example::token_weights`] follow the outcomes of training; none where no masks need
    /// them.
    fn token_weighting(&self) -> Option<TokenWeighting> {
        None
    }

    /// The model in the parameters that the optimizer moves, where they are others than those that
    /// the model holds; their gradients are the same.
    fn before_update(&self, model: Self::Model) -> Self::Model {
        model
    }

    /// The inverse of [`Objective::before_update`].
    fn after_update(&self, model: Self::Model) -> Self::Model {
        model
    }

    /// Uploads the batch and computes. With `noise`: a training pass, dropout on. Without: an
    /// evaluation pass, which also fills [`Step::tallies`].
    fn forward(
        &self,
        model: &Self::Model,
        batch: &Self::Batch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step;

    /// The predictions of the tokens at the flat `positions` (row * len + position, ascending) of
    /// `sequences`; none where the objective's model is no masked language model.
    fn predict<'m>(
        &self,
        _model: &'m Self::Model,
        _sequences: &Sequences,
        _positions: &[u32],
        _device: &Device,
    ) -> Option<Predicted<'m>> {
        None
    }

    /// The shape of the encoder that computes [`Objective::predict`], and the number of parameters.
    fn predictor(&self, model: &Self::Model, encoder: &EncoderConfig) -> (EncoderConfig, usize) {
        (encoder.clone(), model.num_params())
    }

    /// The score of every token of `sequences`, special tokens included and padding not: the logit
    /// that a discriminator gives it for being replaced. None where the objective has no
    /// discriminator.
    fn token_scores(
        &self,
        _model: &Self::Model,
        _sequences: &Sequences,
        _device: &Device,
    ) -> Option<Vec<Vec<f32>>> {
        None
    }

    /// Floating-point operations of one forward pass over `batch`.
    fn flops(&self, encoder: &EncoderConfig, batch: &Self::Batch) -> f64;

    // Evaluation.

    /// Metrics that are no means over examples, by name, given the model's outputs for each example
    /// ([`Step::outputs`]).
    fn metrics(&self, _examples: &[Example], _outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Which evaluation is the best.
    fn goal(&self) -> Goal {
        Goal::LowestLoss
    }

    // Inspection.

    /// Row `row` of `batch` as the model sees it.
    fn show(&self, batch: &Self::Batch, row: usize) -> Vec<Shown>;

    /// The target of row `row` as a whole, in words.
    fn caption(&self, _batch: &Self::Batch, _row: usize) -> Option<String> {
        None
    }

    /// All rows of a training batch as a trained model sees them; differs from [`Objective::show`]
    /// where the model itself changes its input.
    fn show_trained(
        &self,
        _model: &Self::Model,
        batch: &Self::Batch,
        _device: &Device,
    ) -> Vec<Vec<Shown>> {
        (0..self.sequences(batch).batch()).map(|row| self.show(batch, row)).collect()
    }

    // Parameters of other models.

    /// Whether the parameter `name` means the same in a model of this objective under the
    /// configuration `other`, so that a run may start from it.
    fn transfers(&self, _name: &str, _other: &Self::Config) -> bool {
        true
    }

    /// The parameters of another model that the parameter `name` of this objective's model may
    /// start from, when a run is initialised from that model: the first one that exists is taken.
    fn init_sources(&self, name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    /// The configuration under which this objective trains models of the class of `model`; none
    /// where it trains no such models. At most one objective of a program claims a class.
    fn import(_model: &HubModel) -> Option<Self::Config> {
        None
    }

    /// A model that was trained under `config` as classes of transformers, those of `family` if one
    /// is given; several where the objective trains several models.
    ///
    /// # Errors
    /// When transformers has no class that computes the same, with the reason.
    fn export(
        _config: &Self::Config,
        _trained: TrainedModel<'_>,
        _family: Option<Family>,
    ) -> Result<Vec<ExportedModel>, hub::Error> {
        let message =
            format!("a run of the objective `{}` has no class in transformers", Self::NAME);
        Err(hub::Error::Data(message))
    }
}
