//! Encoder and head, and the objective over them.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use kernels::{Scores, Targets};
use objective::{Context, Error, Example, Objective, Prediction, Purpose, Shown, Step, Tally, Term};
use rand_chacha::ChaCha8Rng;
use trunk::{Encoder, EncoderConfig, MlmHead, Noise, Sequences};

use crate::batch::{Collator, MlmBatch};
use crate::config::MlmConfig;
use crate::masking::{Masker, Masking, Replacement, Vocabulary};

/// An encoder with a masked-language-model head whose output layer is the token table.
#[derive(Module, Debug)]
pub struct MlmModel {
    /// The encoder.
    pub encoder: Encoder,
    /// The head.
    pub head: MlmHead,
}

impl MlmModel {
    /// New weights from `rng`.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        Self { encoder: Encoder::init(config, rng, device), head: MlmHead::init(config, rng, device) }
    }

    /// Hidden states `[n, hidden]` at the flat `places` (row * len + position, ascending) of
    /// `sequences`.
    pub fn hidden(
        &self,
        sequences: &Sequences,
        places: &[u32],
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Tensor<2> {
        self.encoder.forward_at(&sequences.input(device), places, noise)
    }

    /// Logits `[n, vocabulary]` at `places`, without dropout.
    pub fn logits(&self, sequences: &Sequences, places: &[u32], device: &Device) -> Tensor<2> {
        let hidden = self.hidden(sequences, places, None, device);
        self.head.logits(hidden, self.encoder.embeddings.tokens.val())
    }
}

/// Masked language modelling.
#[derive(Debug)]
pub struct Mlm {
    config: MlmConfig,
    context: Context,
    training: Masker,
    evaluation: Masker,
}

impl Objective for Mlm {
    const NAME: &'static str = "mlm";
    const ABOUT: &'static str = "masked language modelling (BERT, RoBERTa): predict tokens that were masked";

    type Config = MlmConfig;
    type Batch = MlmBatch;
    type Model = MlmModel;

    fn new(config: MlmConfig, context: &Context) -> Result<Self, Error> {
        let masker = |name: &str, masking: &Masking| {
            let vocabulary = Vocabulary {
                size: context.vocabulary,
                mask: context.specials.mask,
                specials: context.special_ids.clone(),
                counts: context.counts.clone(),
            };
            Masker::new(masking.clone(), vocabulary, context.max_length).map_err(|e| Error(format!("{name}.{e}")))
        };
        let (training, evaluation) = (masker("masking", &config.masking)?, masker("evaluation", &config.evaluation)?);
        Ok(Self { context: context.clone(), training, evaluation, config })
    }

    fn room(&self) -> usize {
        2
    }

    fn collate(&self, examples: &[Example], purpose: Purpose) -> MlmBatch {
        let Self { config, context, training, evaluation } = self;
        Collator { config, context, training, evaluation }.collate(examples, purpose)
    }

    fn sequences<'b>(&self, batch: &'b MlmBatch) -> &'b Sequences {
        &batch.sequences
    }

    fn weights(&self, batch: &MlmBatch) -> Vec<f64> {
        vec![batch.labels.len() as f64]
    }

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> MlmModel {
        MlmModel::init(encoder, rng, device)
    }

    fn forward(&self, model: &MlmModel, batch: &MlmBatch, noise: Option<&mut Noise>, device: &Device) -> Step {
        let weight = batch.labels.len() as f64;
        let training = noise.is_some();
        // Independent draws can leave a batch without a target: then one place counts nothing, and every parameter
        // has a gradient of zero.
        let (places, targets) = match batch.labels.is_empty() {
            true => (&[0][..], Targets { labels: vec![0], weights: Some(vec![0.0]) }),
            false => (&batch.places[..], Targets { labels: batch.labels.clone(), weights: None }),
        };
        let hidden = model.hidden(&batch.sequences, places, noise, device);
        let table = model.encoder.embeddings.tokens.val();
        let (sum, tallies) = if training || batch.labels.is_empty() {
            (model.head.loss(hidden, table, targets), Vec::new())
        } else {
            let scores = model.head.scores(hidden.clone(), table.clone(), &batch.labels);
            let tallies = tallies(&scores, batch);
            let plain = !device.is_autodiff();
            (if plain { scores.losses.sum() } else { model.head.loss(hidden, table, targets) }, tallies)
        };
        let tally = Tally { name: "mlm/loss", sum, weight };
        Step { terms: vec![Term { tally, coefficient: 1.0 }], tallies }
    }

    fn encoder<'m>(&self, model: &'m MlmModel) -> &'m Encoder {
        &model.encoder
    }

    fn log_probabilities(
        &self,
        model: &MlmModel,
        sequences: &Sequences,
        predictions: &[Prediction],
        device: &Device,
    ) -> Option<Tensor<1>> {
        let places: Vec<u32> = predictions.iter().map(|p| (p.row * sequences.len + p.position) as u32).collect();
        let labels: Vec<u32> = predictions.iter().map(|p| p.label).collect();
        let hidden = model.hidden(sequences, &places, None, device);
        let table = model.encoder.embeddings.tokens.val();
        Some(model.head.scores(hidden, table, &labels).losses.neg())
    }

    fn show(&self, batch: &MlmBatch, row: usize) -> Vec<Shown> {
        batch.show(row, &self.context.special_ids)
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &MlmBatch) -> f64 {
        let width = encoder.embedding_width() as f64;
        let head = 2.0 * width * (encoder.hidden as f64 + encoder.vocabulary as f64);
        let sequences = &batch.sequences;
        let layers: f64 = sequences.lengths.iter().map(|len| *len as f64 * encoder.flops_per_token(*len)).sum();
        layers + batch.labels.len() as f64 * head
    }
}

/// How often the most probable token is the right one: over all targets, and over those that are masked out.
fn tallies(scores: &Scores, batch: &MlmBatch) -> Vec<Tally> {
    let Scores { losses, hits } = scores;
    let masked = |r: &Replacement| if *r == Replacement::Mask { 1.0 } else { 0.0 };
    let masked: Vec<f32> = batch.replacements.iter().map(masked).collect();
    let weight = masked.iter().map(|m| f64::from(*m)).sum();
    let n = masked.len();
    let masked = Tensor::<1>::from_data(TensorData::new(masked, [n]), &hits.device());
    vec![
        Tally { name: "mlm/accuracy", sum: hits.clone().sum(), weight: n as f64 },
        Tally { name: "mlm/masked_accuracy", sum: (hits.clone() * masked.clone()).sum(), weight },
        Tally { name: "mlm/masked_loss", sum: (losses.clone() * masked).sum(), weight },
    ]
}
