//! Fine-tuning as an objective.

use ::objective::{Context, Error, Example, Goal, Objective, Purpose, Shown, Step};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use trunk::{Encoder, EncoderConfig, Input, Noise, Sequences};

use crate::batch::TuneBatch;
use crate::config::{HeadStyle, TuneConfig};
use crate::head::TaskHead;
use crate::task::{Pass, Task};

/// An encoder and the head of a task.
#[derive(Module, Debug)]
pub struct TuneModel {
    /// The encoder.
    pub encoder: Encoder,
    /// The head.
    pub task: TaskHead,
}

/// Fine-tuning.
#[derive(Debug)]
pub struct Tune {
    config: TuneConfig,
    task: Task,
}

impl Tune {
    /// What the model says about `sequences`, `[n, outputs]`: for each of them, or for each of
    /// their rows (padding included where the device has it), which the second value tells.
    pub fn outputs(
        &self,
        model: &TuneModel,
        sequences: &Sequences,
        mut noise: Option<&mut Noise>,
        device: &Device,
    ) -> (Tensor<2>, Input) {
        let input = sequences.input(device);
        let outputs = if self.task.kind.of_sequence() {
            let firsts: Vec<u32> =
                (0..sequences.batch()).map(|row| (row * sequences.len) as u32).collect();
            let hidden = model.encoder.forward_at(&input, &firsts, noise.as_deref_mut());
            model.task.forward(hidden, &input.select(&firsts).1, noise)
        } else {
            let hidden = model.encoder.forward(&input, noise.as_deref_mut());
            model.task.forward(hidden, &input.rows, noise)
        };
        (outputs, input)
    }
}

impl Objective for Tune {
    const NAME: &'static str = "finetune";
    const ABOUT: &'static str = "fine-tuning on labelled data";

    type Config = TuneConfig;
    type Batch = TuneBatch;
    type Model = TuneModel;

    fn new(config: TuneConfig, context: &Context) -> Result<Self, Error> {
        config.validate()?;
        let task = Task::new(config.kind, config.labels.clone(), config.advice, context)?;
        Ok(Self { config, task })
    }

    fn room(&self) -> usize {
        0
    }

    fn collate(&self, examples: &[Example], _purpose: Purpose) -> TuneBatch {
        self.task.collate(examples)
    }

    fn sequences<'b>(&self, batch: &'b TuneBatch) -> &'b Sequences {
        &batch.sequences
    }

    fn weights(&self, batch: &TuneBatch) -> Vec<f64> {
        self.task.weights(batch)
    }

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> TuneModel {
        let stack = Encoder::init(encoder, rng, device);
        TuneModel { encoder: stack, task: TaskHead::init(&self.config, encoder, rng, device) }
    }

    fn forward(
        &self,
        model: &TuneModel,
        batch: &TuneBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step {
        let pass = if noise.is_some() { Pass::Training } else { Pass::Evaluation };
        let (outputs, input) = self.outputs(model, &batch.sequences, noise, device);
        self.task.step(outputs, &input, batch, pass)
    }

    fn show(&self, batch: &TuneBatch, row: usize) -> Vec<Shown> {
        self.task.show(batch, row)
    }

    fn remark(&self, batch: &TuneBatch, row: usize) -> Option<String> {
        self.task.remark(batch, row)
    }

    /// A head's outputs belong to its classes, and the whole head to its kind of task.
    fn keeps(&self, name: &str, other: &TuneConfig) -> bool {
        let TuneConfig { kind, labels, .. } = &self.config;
        match name.strip_prefix("task.") {
            Some(part) => {
                *kind == other.kind && (*labels == other.labels || !part.starts_with("output."))
            }
            None => true,
        }
    }

    /// The pooler of a model that was pretrained on pairs is BERT's head.
    fn ancestors(&self, name: &str) -> Vec<String> {
        let pooler = match name.strip_prefix("task.dense.") {
            Some(part) if matches!(self.config.head, HeadStyle::Bert | HeadStyle::Tinybert) => {
                Some(format!("pair.pooler.{part}"))
            }
            _ => None,
        };
        [Some(name.to_owned()), pooler].into_iter().flatten().collect()
    }

    fn judge(&self, examples: &[Example], outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)> {
        self.task.judge(examples, outputs)
    }

    fn goal(&self) -> Goal {
        self.task.goal()
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &TuneBatch) -> f64 {
        batch.sequences.lengths.iter().map(|len| *len as f64 * encoder.flops_per_token(*len)).sum()
    }
}
