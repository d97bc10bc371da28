//! Fine-tuning as an objective.

use ::objective::{Context, Error, Example, Goal, Objective, Packing, Purpose, Shown, Step};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use hub::{ExportedModel, Family, HubModel, TrainedModel};
use kernels::Rows;
use rand_chacha::ChaCha8Rng;
use trunk::{Encoder, EncoderConfig, EncoderInput, Noise, Sequences, encoder_flops};

use crate::batch::TaskBatch;
use crate::config::{FinetuneConfig, HeadStyle, Pooling};
use crate::export;
use crate::head::TaskHead;
use crate::task::{Pass, Task};

/// An encoder and the head of a task.
#[derive(Module, Debug)]
pub struct FinetuneModel {
    /// The encoder.
    pub encoder: Encoder,
    /// The head.
    pub task: TaskHead,
}

/// Fine-tuning.
#[derive(Debug)]
pub struct Finetune {
    config: FinetuneConfig,
    task: Task,
}

impl Finetune {
    /// The model's outputs for `sequences`, `[n, outputs]`, and its input. There is a row of
    /// outputs for each sequence, or for each row of the input (padding included where the device
    /// has it).
    pub fn outputs(
        &self,
        model: &FinetuneModel,
        sequences: &Sequences,
        mut noise: Option<&mut Noise>,
        device: &Device,
    ) -> (Tensor<2>, EncoderInput) {
        let input = sequences.input(device);

        let outputs = if self.task.kind.of_sequence() && self.config.pooling == Pooling::Mean {
            let hidden = model.encoder.forward(&input, noise.as_deref_mut());
            let rows = Rows::of(vec![[0]; sequences.batch()]);
            model.task.forward(sequences.means(&input, device).matmul(hidden), &rows, noise)
        } else if self.task.kind.of_sequence() {
            let firsts: Vec<u32> =
                (0..sequences.batch()).map(|row| (row * sequences.len) as u32).collect();
            let hidden = model.encoder.forward_at(&input, &firsts, noise.as_deref_mut());
            let (_, rows) = input.select(&firsts);
            model.task.forward(hidden, &rows, noise)
        } else {
            let hidden = model.encoder.forward(&input, noise.as_deref_mut());
            model.task.forward(hidden, &input.rows, noise)
        };
        (outputs, input)
    }
}

impl Objective for Finetune {
    const NAME: &'static str = "finetune";
    const ABOUT: &'static str = "fine-tuning on labelled data";

    type Config = FinetuneConfig;
    type Batch = TaskBatch;
    type Model = FinetuneModel;

    fn new(config: FinetuneConfig, context: &Context) -> Result<Self, Error> {
        config.validate()?;
        let task = Task::new(config.kind, config.labels.clone(), config.distillation, context)?;
        Ok(Self { config, task })
    }

    fn packing(&self) -> Packing {
        Packing { special_tokens: 0, overfill: false }
    }

    fn collate(&self, examples: &[Example], _purpose: Purpose) -> TaskBatch {
        self.task.collate(examples)
    }

    fn sequences<'b>(&self, batch: &'b TaskBatch) -> &'b Sequences {
        &batch.sequences
    }

    fn target_counts(&self, batch: &TaskBatch) -> Vec<f64> {
        self.task.target_counts(batch)
    }

    fn init(
        &self,
        encoder: &EncoderConfig,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> FinetuneModel {
        let stack = Encoder::init(encoder, rng, device);
        FinetuneModel { encoder: stack, task: TaskHead::init(&self.config, encoder, rng, device) }
    }

    fn forward(
        &self,
        model: &FinetuneModel,
        batch: &TaskBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step {
        let pass = if noise.is_some() { Pass::Training } else { Pass::Evaluation };
        let (outputs, input) = self.outputs(model, &batch.sequences, noise, device);
        self.task.step(outputs, &input, batch, pass)
    }

    fn show(&self, batch: &TaskBatch, row: usize) -> Vec<Shown> {
        self.task.show(batch, row)
    }

    fn caption(&self, batch: &TaskBatch, row: usize) -> Option<String> {
        self.task.caption(batch, row)
    }

    /// The outputs of a head belong to its classes, and the whole head to its kind of task.
    fn transfers(&self, name: &str, other: &FinetuneConfig) -> bool {
        let Some(part) = name.strip_prefix("task.") else { return true };

        let FinetuneConfig { kind, labels, .. } = &self.config;
        *kind == other.kind && (*labels == other.labels || !part.starts_with("output."))
    }

    /// The pooler of a model that was pretrained on pairs is BERT's head, and the head over the
    /// vocabulary is ModernBERT's.
    fn init_sources(&self, name: &str) -> Vec<String> {
        let pretrained = match (self.config.head, name.strip_prefix("task.")) {
            (HeadStyle::Bert | HeadStyle::Tinybert, Some(part)) => {
                part.strip_prefix("dense.").map(|part| format!("pair.pooler.{part}"))
            }
            (HeadStyle::Modernbert, Some(part)) if part.starts_with("norm.") => {
                Some(format!("head.{part}"))
            }
            (HeadStyle::Modernbert, Some(part)) => {
                part.strip_prefix("dense.").map(|part| format!("head.transform.{part}"))
            }
            _ => None,
        };
        [Some(name.to_owned()), pretrained].into_iter().flatten().collect()
    }

    fn metrics(&self, examples: &[Example], outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)> {
        self.task.metrics(examples, outputs)
    }

    fn goal(&self) -> Goal {
        self.task.goal()
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &TaskBatch) -> f64 {
        encoder_flops(encoder, &batch.sequences)
    }

    fn import(model: &HubModel) -> Option<FinetuneConfig> {
        export::import(model)
    }

    fn export(
        config: &FinetuneConfig,
        trained: TrainedModel<'_>,
        family: Option<Family>,
    ) -> Result<Vec<ExportedModel>, hub::Error> {
        export::export(config, trained, family).map(|model| vec![ExportedModel::only(model)])
    }
}
