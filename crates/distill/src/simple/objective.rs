//! A simple network as an objective.

use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use finetune::{Pass, Task, TaskBatch};
use kernels::{Mask, Rows, dropout, gather};
use objective::{Context, Error, Example, Goal, Objective, Packing, Purpose, Shown, Step};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderConfig, Linear, Noise, Sequences, truncated_normal};

use super::bilstm::Bilstm;
use super::config::{Network, Reads, SimpleConfig};
use super::textcnn::{TextCnn, WIDTHS};

/// Embeddings, a network that reads them, and a classifier of two layers.
#[derive(Module, Debug)]
pub struct SimpleModel {
    /// `[vocabulary, embedding]`
    pub embedding: Param<Tensor<2>>,
    /// Present in a BiLSTM.
    pub bilstm: Option<Bilstm>,
    /// Present in a TextCNN.
    pub textcnn: Option<TextCnn>,
    /// `[features, inner]`
    pub inner: Linear,
    /// `[inner, outputs]`
    pub output: Linear,
}

/// A simple network.
#[derive(Debug)]
pub struct Simple {
    config: SimpleConfig,
    context: Context,
    task: Task,
}

impl Simple {
    /// The features of each sequence, `[n, features]`.
    fn read(&self, model: &SimpleModel, sequences: &Sequences, device: &Device) -> Tensor<2> {
        let input = sequences.input(device);
        let x = gather(model.embedding.val(), input.tokens.clone());

        if let Some(bilstm) = &model.bilstm {
            return bilstm.read(x, &input, sequences);
        }
        match &model.textcnn {
            Some(textcnn) => textcnn.read(x, &input, sequences),
            None => sequences.means(&input, device).matmul(x),
        }
    }

    /// The sentences in segment `wanted`, one for each sequence, without special tokens.
    fn sentences(&self, sequences: &Sequences, wanted: u32) -> Sequences {
        let specials = &self.context.specials;
        let Sequences { len, tokens, segments, lengths, .. } = sequences;
        let in_segment = |flat: &usize| segments.get(*flat).copied().unwrap_or(0) == wanted;
        let is_word = |token: &u32| *token != specials.cls && *token != specials.sep;

        let mut sentences = Vec::with_capacity(lengths.len());
        for (row, length) in lengths.iter().enumerate() {
            let positions = row * len..row * len + length;
            let words = positions.filter(in_segment).map(|flat| tokens[flat]).filter(is_word);
            let mut sentence: Vec<u32> = words.collect();
            // An empty sentence is an unknown word.
            if sentence.is_empty() {
                sentence.push(specials.unk);
            }
            sentences.push(sentence);
        }
        Sequences::pad(&sentences, specials.pad)
    }

    /// The model's outputs for `sequences`, `[n, outputs]`.
    fn outputs(
        &self,
        model: &SimpleModel,
        sequences: &Sequences,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Tensor<2> {
        let first = self.read(model, &self.sentences(sequences, 0), device);
        let (features, noise) = match self.config.reads {
            Reads::One => (first, noise),
            Reads::Two => {
                let second = self.read(model, &self.sentences(sequences, 1), device);
                let distance = (first.clone() - second.clone()).abs();
                let product = first.clone() * second.clone();
                (Tensor::cat(vec![first, second, distance, product], 1), None)
            }
        };

        let inner = relu(model.inner.forward(features));
        let rows = Rows::of_lengths(&vec![1; sequences.batch()]);
        model.output.forward(dropout(inner, Mask::draw(noise, self.config.dropout, &rows)))
    }
}

impl Objective for Simple {
    const NAME: &'static str = "simple";
    const ABOUT: &'static str =
        "a BiLSTM, a TextCNN or a bag of embeddings that learns a task from a teacher";

    type Config = SimpleConfig;
    type Batch = TaskBatch;
    type Model = SimpleModel;

    fn new(config: SimpleConfig, context: &Context) -> Result<Self, Error> {
        config.validate()?;
        let task = Task::new(config.kind, config.labels.clone(), config.distillation, context)?;
        Ok(Self { config, context: context.clone(), task })
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

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> SimpleModel {
        let SimpleConfig { embedding, width, inner, network, .. } = self.config;
        let table = truncated_normal([encoder.vocabulary, embedding], 0.1, rng, device);
        let bilstm =
            (network == Network::Bilstm).then(|| Bilstm::init(embedding, width, rng, device));
        let textcnn =
            (network == Network::Textcnn).then(|| TextCnn::init(embedding, width, rng, device));

        let mut linear = |inputs: usize, outputs: usize| {
            Linear::init(inputs, outputs, 1.0 / (3.0 * inputs as f64).sqrt(), rng, device)
        };
        let inner_layer = linear(self.config.features(), inner);
        let output = linear(inner, self.task.outputs());

        SimpleModel { embedding: table, bilstm, textcnn, inner: inner_layer, output }
    }

    fn forward(
        &self,
        model: &SimpleModel,
        batch: &TaskBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step {
        let pass = if noise.is_some() { Pass::Training } else { Pass::Evaluation };
        let outputs = self.outputs(model, &batch.sequences, noise, device);
        self.task.step(outputs, &batch.sequences.input(device), batch, pass)
    }

    fn show(&self, batch: &TaskBatch, row: usize) -> Vec<Shown> {
        self.task.show(batch, row)
    }

    fn caption(&self, batch: &TaskBatch, row: usize) -> Option<String> {
        self.task.caption(batch, row)
    }

    fn metrics(&self, examples: &[Example], outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)> {
        self.task.metrics(examples, outputs)
    }

    fn goal(&self) -> Goal {
        self.task.goal()
    }

    fn flops(&self, _encoder: &EncoderConfig, batch: &TaskBatch) -> f64 {
        let SimpleConfig { embedding, width, inner, network, .. } = self.config;
        let token = match network {
            Network::Bilstm => 2 * 2 * 4 * width * (embedding + width),
            Network::Textcnn => 2 * WIDTHS.iter().sum::<usize>() * embedding * width,
            Network::Bag => embedding,
        };
        let head = 2 * inner * (self.config.features() + self.task.outputs());
        (batch.sequences.real_tokens() * token + batch.sequences.batch() * head) as f64
    }
}
