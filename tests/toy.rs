//! Another objective takes a module like this and one line of the registry, and nothing else.

mod common;

use bert_variants::config::{Layers, RunConfig};
use bert_variants::registry::{Entry, entry};
use bert_variants::train::{PretrainJob, Resume};
use burn::module::Module;
use burn::tensor::Device;
use common::Sandbox;
use objective::{Context, Error, Example, Mark, Objective, Purpose, Shown, Step, Tally, Term};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use trunk::{Encoder, EncoderConfig, Linear, Noise, Sequences};

/// The line of the registry.
const TOY: Entry = entry::<Parity>();

/// Tells from the first token's hidden state whether the passage, of which a tail is dropped at
/// random, has an even number of tokens.
#[derive(Debug)]
struct Parity {
    config: ParityConfig,
    context: Context,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ParityConfig {
    drop: usize,
}

impl Default for ParityConfig {
    fn default() -> Self {
        Self { drop: 4 }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct ParityBatch {
    sequences: Sequences,
    answers: Vec<u32>,
}

#[derive(Module, Debug)]
struct ParityModel {
    encoder: Encoder,
    head: Linear,
}

impl Objective for Parity {
    const NAME: &'static str = "parity";
    const ABOUT: &'static str = "whether a sequence is even";
    type Config = ParityConfig;
    type Batch = ParityBatch;
    type Model = ParityModel;

    fn new(config: ParityConfig, context: &Context) -> Result<Self, Error> {
        if config.drop == 0 {
            return Err(Error("drop = 0: must be at least 1".to_owned()));
        }
        Ok(Self { config, context: context.clone() })
    }

    fn room(&self) -> usize {
        1
    }

    fn collate(&self, examples: &[Example], _purpose: Purpose) -> ParityBatch {
        let row = |example: &Example| {
            let drop = corpus::below(self.config.drop, &mut example.rng("drop"));
            let kept = example.passage.tokens.len().saturating_sub(drop).max(1);
            [&[self.context.specials.cls], &example.passage.tokens[..kept]].concat()
        };
        let rows: Vec<Vec<u32>> = examples.iter().map(row).collect();
        let answers = rows.iter().map(|row| row.len() as u32 % 2).collect();
        ParityBatch { sequences: Sequences::pad(&rows, self.context.specials.pad), answers }
    }

    fn sequences<'b>(&self, batch: &'b ParityBatch) -> &'b Sequences {
        &batch.sequences
    }

    fn weights(&self, batch: &ParityBatch) -> Vec<f64> {
        vec![batch.answers.len() as f64]
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
        let firsts: Vec<u32> =
            (0..batch.answers.len()).map(|row| (row * batch.sequences.len) as u32).collect();
        let evaluating = noise.is_none();
        let hidden = model.encoder.forward_at(&batch.sequences.input(device), &firsts, noise);
        let sum = kernels::cross_entropy(model.head.forward(hidden), &batch.answers).sum();
        let weight = batch.answers.len() as f64;
        let tally = Tally { name: "parity/loss", sum: sum.clone(), weight };
        let tallies =
            if evaluating { vec![Tally { name: "parity/again", sum, weight }] } else { Vec::new() };
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
        batch.sequences.lengths.iter().map(|len| *len as f64 * encoder.flops_per_token(*len)).sum()
    }
}

#[test]
fn a_new_objective_is_trained_logged_and_saved_like_the_others() {
    let sandbox = Sandbox::new(20);
    let mut layers = Layers::default();
    layers.lay(
        std::fs::read_to_string(sandbox.path("small.toml")).expect("read").parse().expect("TOML"),
    );
    layers.set("objective.name", Parity::NAME);
    layers.set("corpus.paths", vec![sandbox.path("train.txt").display().to_string()]);
    layers.set("corpus.valid", vec![sandbox.path("valid.txt").display().to_string()]);
    layers.set("corpus.cache", sandbox.path("cache").display().to_string());
    layers.set("budget.steps", 5);
    let mut config: RunConfig = layers.resolve().expect("a configuration");
    let mut knobs = (TOY.resolve)(config.objective_knobs()).expect("knobs");
    assert_eq!(knobs["drop"].as_integer(), Some(4), "the default is filled in");
    knobs.insert("name".to_owned(), Parity::NAME.into());
    config.objective = knobs;
    let out = sandbox.path("run");
    let job = PretrainJob {
        config: &config,
        out: &out,
        resume: &Resume::Auto,
        dry_run: false,
        json: false,
    };
    (TOY.pretrain)(&job).expect("trained");
    let metrics = sandbox.records("run", "metrics.jsonl");
    assert_eq!(metrics.len(), 5);
    assert!(metrics[4]["parity/loss"].as_f64().expect("a loss") > 0.0);
    assert!(sandbox.records("run", "evals.jsonl")[0]["parity/again"].is_number());
    assert!(!sandbox.weights("run").is_empty());
    let error = (TOY.resolve)("dorp = 1".parse().expect("TOML")).expect_err("refused").to_string();
    assert!(error.contains("did you mean `drop`?"), "{error}");
}
