//! Adds an objective to those of the program: a crate of its own would hold the same.
//!
//! `cargo run --release --example custom_objective -- corpora/tiny/train runs/parity 50`

use std::path::Path;

use anyhow::Result;
use bert_variants::config::RunConfig;
use bert_variants::registry::{Entry, entry};
use bert_variants::run::{PretrainJob, PretrainOutcome, Resume};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use hub::{Architecture, ExportedModel, Family, TrainedModel};
use objective::{
    Context, Error, Example, HeldOutTask, Mark, MetricOf, Objective, Packing, Purpose, Shown, Step,
    Tally, Term,
};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use settings::Layers;
use trunk::{Encoder, EncoderConfig, Linear, Noise, Sequences, encoder_flops};

/// The line of the registry.
pub const PARITY: Entry = entry::<Parity>();

/// Tells from each token's hidden state whether its id is odd, in passages of which a tail is
/// dropped at random.
#[derive(Debug)]
pub struct Parity {
    config: ParityConfig,
    context: Context,
}

/// The `[objective]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParityConfig {
    /// One more than the largest number of tokens dropped from the end of a passage.
    drop: usize,
}

impl Default for ParityConfig {
    fn default() -> Self {
        Self { drop: 4 }
    }
}

/// Passages with a label for each real token.
#[derive(Clone, Debug, PartialEq)]
pub struct ParityBatch {
    sequences: Sequences,
    labels: Vec<u32>,
}

/// Encoder and classifier.
#[derive(Module, Debug)]
pub struct ParityModel {
    encoder: Encoder,
    head: Linear,
}

impl Objective for Parity {
    const NAME: &'static str = "parity";
    const ABOUT: &'static str = "whether a token's id is odd";
    const TASKS: &'static [HeldOutTask] = &[HeldOutTask {
        name: "parity",
        about: "How often the parity is right",
        knobs: &[],
        metric: "parity/accuracy",
        without_metric: "every text has the metric",
        counts: MetricOf::Tokens,
    }];

    type Config = ParityConfig;
    type Batch = ParityBatch;
    type Model = ParityModel;

    fn new(config: ParityConfig, context: &Context) -> Result<Self, Error> {
        if config.drop == 0 {
            return Err(Error("drop = 0: must be at least 1".to_owned()));
        }
        Ok(Self { config, context: context.clone() })
    }

    fn packing(&self) -> Packing {
        Packing { special_tokens: 1, overfill: false }
    }

    fn collate(&self, examples: &[Example], _purpose: Purpose) -> ParityBatch {
        let row = |example: &Example| {
            let drop = corpus::below(self.config.drop, &mut example.rng("drop"));
            let kept = example.passage.tokens.len().saturating_sub(drop).max(1);
            [&[self.context.specials.cls], &example.passage.tokens[..kept]].concat()
        };
        let rows: Vec<Vec<u32>> = examples.iter().map(row).collect();
        let labels = rows.iter().flatten().map(|token| token % 2).collect();
        ParityBatch { sequences: Sequences::pad(&rows, self.context.specials.pad), labels }
    }

    fn sequences<'b>(&self, batch: &'b ParityBatch) -> &'b Sequences {
        &batch.sequences
    }

    fn target_counts(&self, batch: &ParityBatch) -> Vec<f64> {
        vec![batch.labels.len() as f64]
    }

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> ParityModel {
        ParityModel {
            encoder: Encoder::init(encoder, rng, device),
            head: Linear::init(encoder.hidden, 2, 0.02, rng, device),
        }
    }

    fn forward(
        &self,
        model: &ParityModel,
        batch: &ParityBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step {
        let is_evaluation = noise.is_none();
        let positions = batch.sequences.real_positions();
        let hidden = model.encoder.forward_at(&batch.sequences.input(device), &positions, noise);
        let logits = model.head.forward(hidden);
        let sum = kernels::cross_entropy(logits.clone(), &batch.labels).sum();
        let count = batch.labels.len() as f64;
        let tally = Tally { name: "parity/loss", sum, count };

        let mut tallies = Vec::new();
        if is_evaluation {
            let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
            let odd = logits.chunks(2).map(|logits| u32::from(logits[1] > logits[0]));
            let right = odd.zip(&batch.labels).filter(|(odd, label)| odd == *label).count();
            let sum = Tensor::from_floats([right as f32], device);
            tallies.push(Tally { name: "parity/accuracy", sum, count });
        }
        Step::new(vec![Term { tally, coefficient: 1.0 }], tallies)
    }

    fn show(&self, batch: &ParityBatch, row: usize) -> Vec<Shown> {
        let start = row * batch.sequences.len;
        let tokens = &batch.sequences.tokens[start..start + batch.sequences.lengths[row]];
        tokens
            .iter()
            .map(|token| Shown { token: *token, label: None, mark: Mark::Plain, segment: 0 })
            .collect()
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &ParityBatch) -> f64 {
        encoder_flops(encoder, &batch.sequences)
    }

    fn export(
        _config: &ParityConfig,
        trained: TrainedModel<'_>,
        family: Option<Family>,
    ) -> Result<Vec<ExportedModel>, hub::Error> {
        Ok(vec![ExportedModel::only(trained.to_class(Architecture::Encoder, family)?)])
    }
}

/// The configuration of a run whose settings are `layers`, with every knob of the objective.
pub fn resolve(mut layers: Layers) -> Result<RunConfig> {
    layers.set("objective.name", Parity::NAME);
    let mut config: RunConfig = layers.resolve()?;
    config.objective = (PARITY.resolve)(config.objective_knobs())?;
    config.objective.insert("name".to_owned(), Parity::NAME.into());
    Ok(config)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [corpus, out, steps] = arguments.as_slice() else {
        anyhow::bail!("usage: custom_objective TEXT OUT STEPS");
    };
    let mut layers = Layers::default();
    layers.set("corpus.paths", vec![corpus.clone()]);
    layers.set("budget.steps", steps.parse::<i64>()?);
    let config = resolve(layers)?;

    let job =
        PretrainJob { config: &config, out: Path::new(out), resume: &Resume::Auto, dry_run: false };
    if let PretrainOutcome::Trained(summary) = (PARITY.pretrain)(&job)? {
        println!("{} steps", summary.step);
    }
    Ok(())
}
