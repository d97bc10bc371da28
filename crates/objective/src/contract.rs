//! The trait that every objective implements.

use std::fmt::Debug;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use corpus::Specials;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use trunk::{EncoderConfig, Noise, Predicted, Sequences};

use crate::{Example, Shown, Step, Teacher};

/// What an objective may know about tokenizer and data.
#[derive(Clone, Debug)]
pub struct Context {
    /// The special tokens of the layout.
    pub specials: Specials,
    /// All special ids, sorted.
    pub special_ids: Vec<u32>,
    /// Number of token ids.
    pub vocabulary: usize,
    /// How often each id occurs in the training text, `[vocabulary]`; empty where there is no such
    /// text.
    pub counts: Vec<u64>,
    /// Longest sequence, special tokens included.
    pub max_length: usize,
    /// Shape of the encoder.
    pub encoder: EncoderConfig,
    /// The model that is learnt from; none where the objective asks for none, or is only evaluated.
    pub teacher: Option<Arc<Teacher>>,
}

/// What a batch is made for.
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

/// Why an objective cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("objective.{0}")]
pub struct Error(pub String);

/// A pretraining objective: from passages to batches to losses.
pub trait Objective: Sized + Send + Sync + 'static {
    /// The command-line value and the prefix of its metrics.
    const NAME: &'static str;
    /// One line for `--help`.
    const ABOUT: &'static str;
    /// The `[objective]` table; unknown keys are refused.
    type Config: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned;
    /// A batch on the host: plain vectors, comparable in tests.
    type Batch: Clone + Debug + PartialEq + Send + 'static;
    /// Encoder and heads.
    type Model: Module + Sync + 'static;

    /// The objective under `config`.
    ///
    /// # Errors
    /// Names the knob that cannot be, and what it should be.
    fn new(config: Self::Config, context: &Context) -> Result<Self, Error>;

    /// Special tokens that a sequence needs besides the tokens of its passage.
    fn room(&self) -> usize;

    /// Whether the sentence that reaches the length of a passage still belongs to it, for
    /// [`Objective::collate`] to cut.
    fn overfills(&self) -> bool {
        false
    }

    /// The epoch whose draw of [`Example::partner`] the examples of `epoch` bring along; none where
    /// they need no partner.
    fn partner_epoch(&self, _epoch: u64) -> Option<u64> {
        None
    }

    /// Whether training needs [`Context::teacher`].
    fn needs_teacher(&self) -> bool {
        false
    }

    /// Makes a batch. Its randomness comes from [`Example::rng`] and nowhere else.
    fn collate(&self, examples: &[Example], purpose: Purpose) -> Self::Batch;

    /// The sequences of a batch, for counting tokens.
    fn sequences<'b>(&self, batch: &'b Self::Batch) -> &'b Sequences;

    /// The weight of each loss term of `batch`, known before the forward pass, in the order of
    /// [`Step::terms`].
    fn weights(&self, batch: &Self::Batch) -> Vec<f64>;

    /// A new model with weights from `rng`.
    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self::Model;

    /// Uploads the batch and computes. With `noise`: a training pass, dropout on. Without: an
    /// evaluation pass, which also fills [`Step::tallies`].
    fn forward(
        &self,
        model: &Self::Model,
        batch: &Self::Batch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step;

    /// What predicts the tokens at the flat `places` (row * len + position, ascending) of
    /// `sequences`; none where the objective's model is no masked language model.
    fn predict<'m>(
        &self,
        _model: &'m Self::Model,
        _sequences: &Sequences,
        _places: &[u32],
        _device: &Device,
    ) -> Option<Predicted<'m>> {
        None
    }

    /// What computes [`Objective::predict`]: the shape of its encoder, and the number of
    /// parameters.
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

    /// Row `row` of `batch` as the model sees it.
    fn show(&self, batch: &Self::Batch, row: usize) -> Vec<Shown>;

    /// What is asked about row `row` as a whole, for people.
    fn remark(&self, _batch: &Self::Batch, _row: usize) -> Option<String> {
        None
    }

    /// All rows of a training batch as a trained model sees them, where what it sees depends on the
    /// model itself.
    fn show_trained(
        &self,
        _model: &Self::Model,
        batch: &Self::Batch,
        _device: &Device,
    ) -> Vec<Vec<Shown>> {
        (0..self.sequences(batch).batch()).map(|row| self.show(batch, row)).collect()
    }

    /// Whether the parameter `name` means the same in a model of this objective under the
    /// configuration `other`, so that a run may start from it.
    fn keeps(&self, _name: &str, _other: &Self::Config) -> bool {
        true
    }

    /// The parameters of another model that the parameter `name` of this objective's model may
    /// start from, when a run is initialised from it: the first one that is there.
    fn ancestors(&self, name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    /// Metrics by name that are no means over examples, given what the model said about each
    /// ([`Step::outputs`]).
    fn judge(&self, _examples: &[Example], _outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Which evaluation is the best.
    fn goal(&self) -> Goal {
        Goal::LowestLoss
    }

    /// Floating-point operations of one forward pass over `batch`.
    fn flops(&self, encoder: &EncoderConfig, batch: &Self::Batch) -> f64;
}
