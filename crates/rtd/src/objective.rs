//! Replaced-token detection and its ablations as an objective.

use ::objective::{
    Context, Error, Example, HeldOutTask, Mark, MetricOf, Objective, Packing, Purpose, Shown, Step,
    Tally, Term,
};
use burn::module::Module;
use burn::tensor::Device;
use hub::{ExportedModel, Family, HubModel, TrainedModel};
use kernels::{Sampling, vocabulary_sample};
use mlm::{Maskers, MetricNames, predicted};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderConfig, Linear, Noise, Predicted, Sequences, encoder_flops, head_flops};

use crate::batch::{RtdBatch, collate};
use crate::config::{GeneratorKind, RtdConfig, Tying, Variant};
use crate::discriminator::binary_cross_entropy;
use crate::export;
use crate::model::{RtdModel, VariantHead};
use crate::pass::Pass;

/// The names of the generator's loss and metrics.
const GENERATOR: MetricNames = MetricNames {
    loss: "generator/loss",
    accuracy: "generator/accuracy",
    masked_accuracy: "generator/masked_accuracy",
    masked_loss: "generator/masked_loss",
};

/// Replaced-token detection.
#[derive(Debug)]
pub struct Rtd {
    config: RtdConfig,
    context: Context,
    maskers: Maskers,
}

impl Rtd {
    /// The knobs.
    pub(crate) fn config(&self) -> &RtdConfig {
        &self.config
    }

    /// Whether the generator has a loss.
    fn trains_generator(&self) -> bool {
        self.config.generator.kind == GeneratorKind::Model && !self.config.generator.frozen
    }

    /// The samples of a batch, and the generator's loss and metrics where it is a model.
    fn generate(
        &self,
        model: &RtdModel,
        batch: &RtdBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> (Vec<u32>, Option<(Term, Vec<Tally>)>) {
        let Some(generator) = &model.generator else { return (batch.drawn.clone(), None) };

        let is_training = noise.is_some();
        let input = batch.mlm.sequences.input(device);
        let positions = batch.mlm.predicted_positions();
        let hidden = generator.hidden(&model.encoder, &input, positions, noise);
        let table = generator.table(&model.encoder);

        let samples = if batch.keys.is_empty() {
            Vec::new()
        } else {
            let config = &self.config.generator;
            let sampling = Sampling {
                keys: batch.keys.clone(),
                temperature: config.temperature as f32,
                except: config.disallow_correct.then(|| batch.mlm.labels.clone()),
            };
            vocabulary_sample(generator.head.output(hidden.clone(), table.clone()), &sampling)
        };

        let predicted = Predicted::new(hidden, &generator.head, table);
        let (mut term, tallies) = batch.mlm.loss(GENERATOR, predicted, is_training);
        term.coefficient = self.config.generator_weight;
        (samples, Some((term, tallies)))
    }
}

impl Objective for Rtd {
    const NAME: &'static str = "rtd";
    const ABOUT: &'static str =
        "replaced-token detection (ELECTRA) and its ablations: tell a generator's tokens apart";
    const TASKS: &'static [HeldOutTask] = &[HeldOutTask {
        name: "rtd",
        about: "How well a model of `rtd` finds replaced tokens: area under the curve, precision, \
                recall, F1",
        knobs: &[],
        metric: "rtd/accuracy",
        without_metric: "this model lacks a discriminator: its variant of `rtd` predicts tokens",
        counts: MetricOf::Tokens,
    }];
    const FAMILY: Option<Family> = Some(Family::Electra);

    type Config = RtdConfig;
    type Batch = RtdBatch;
    type Model = RtdModel;

    fn new(mut config: RtdConfig, context: &Context) -> Result<Self, Error> {
        config.validate()?;
        if config.compat {
            (config.masking.repeat, config.evaluation.repeat) = (true, true);
        }

        if config.generator.kind == GeneratorKind::Unigram
            && context.token_counts.iter().all(|count| *count == 0)
        {
            let message =
                "generator.kind = \"unigram\": needs the token counts of the training text";
            return Err(Error(message.to_owned()));
        }

        let maskers = Maskers::new(&config.masking, &config.evaluation, 0, context)?;
        Ok(Self { context: context.clone(), maskers, config })
    }

    fn packing(&self) -> Packing {
        Packing { special_tokens: 2, overfill: false }
    }

    fn collate(&self, examples: &[Example], purpose: Purpose) -> RtdBatch {
        collate(examples, purpose, &self.maskers, &self.config, &self.context)
    }

    fn sequences<'b>(&self, batch: &'b RtdBatch) -> &'b Sequences {
        &batch.mlm.sequences
    }

    fn target_counts(&self, batch: &RtdBatch) -> Vec<f64> {
        let slots = batch.mlm.labels.len() as f64;
        let encoder = match self.config.variant {
            Variant::Electra | Variant::AllTokensMlm => batch.mlm.sequences.real_tokens() as f64,
            Variant::Electra15 => trunk::union(&[&batch.mlm.positions]).len() as f64,
            Variant::ReplaceMlm => slots,
        };
        if self.trains_generator() { vec![slots, encoder] } else { vec![encoder] }
    }

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> RtdModel {
        RtdModel::init(&self.config, encoder, rng, device)
    }

    fn before_update(&self, model: RtdModel) -> RtdModel {
        match self.config.generator.tying {
            Tying::Disentangled => model.with_differences(),
            _ => model,
        }
    }

    fn after_update(&self, model: RtdModel) -> RtdModel {
        match self.config.generator.tying {
            Tying::Disentangled => model.with_sums(),
            _ => model,
        }
    }

    fn forward(
        &self,
        model: &RtdModel,
        batch: &RtdBatch,
        mut noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step {
        let (samples, generated) = self.generate(model, batch, noise.as_deref_mut(), device);
        let corrupted = batch.corrupt(&samples);

        let pass = Pass { noise, device };
        let mut step = match model.variant_head() {
            VariantHead::Detector(head) => self.detect(model, head, &corrupted, pass),
            VariantHead::MaskedLm(head) => self.replace_mlm(model, head, batch, &corrupted, pass),
            VariantHead::CopyGate(heads) => {
                self.all_tokens_mlm(model, heads, batch, &corrupted, pass)
            }
        };

        if let Some((term, tallies)) = generated {
            step.tallies.splice(0..0, tallies);
            if self.trains_generator() {
                step.terms.insert(0, term);
            }
        }
        step
    }

    /// The encoder where it predicts tokens, else the generator.
    fn predict<'m>(
        &self,
        model: &'m RtdModel,
        sequences: &Sequences,
        positions: &[u32],
        device: &Device,
    ) -> Option<Predicted<'m>> {
        if let Some(head) = &model.head {
            let mut predicted = predicted(&model.encoder, head, sequences, positions, device);
            // ln (1 - D)
            let share = |gate: &Linear| {
                let logits = gate.forward(predicted.hidden.clone());
                binary_cross_entropy(logits, &vec![false; positions.len()]).neg()
            };
            predicted.share = model.gate.as_ref().map(share);
            return Some(predicted);
        }

        let generator = model.generator.as_ref()?;
        let hidden = generator.hidden(&model.encoder, &sequences.input(device), positions, None);
        Some(Predicted {
            hidden,
            head: &generator.head,
            table: generator.table(&model.encoder),
            share: None,
        })
    }

    fn predictor(&self, model: &RtdModel, encoder: &EncoderConfig) -> (EncoderConfig, usize) {
        match (&model.head, &model.generator) {
            (None, Some(generator)) => {
                (self.config.generator.shape(encoder), generator.parameters(&model.encoder))
            }
            (_, generator) => (encoder.clone(), model.num_params() - generator.num_params()),
        }
    }

    fn token_scores(
        &self,
        model: &RtdModel,
        sequences: &Sequences,
        device: &Device,
    ) -> Option<Vec<Vec<f32>>> {
        let head = model.discriminator.as_ref()?;
        let input = sequences.input(device);
        let logits = head.forward(model.encoder.forward(&input, None));
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();

        let row = |i: usize| {
            let start = input.rows.range(i).start;
            logits[start..start + sequences.lengths[i]].to_vec()
        };
        Some((0..sequences.batch()).map(row).collect())
    }

    fn show(&self, batch: &RtdBatch, row: usize) -> Vec<Shown> {
        batch.mlm.show(row, &self.context.special_ids)
    }

    fn show_trained(&self, model: &RtdModel, batch: &RtdBatch, device: &Device) -> Vec<Vec<Shown>> {
        let (samples, _) = self.generate(model, batch, None, device);
        let corrupted = batch.corrupt(&samples);
        let len = corrupted.sequences.len;
        let rows = 0..batch.mlm.sequences.batch();
        let mut shown: Vec<Vec<Shown>> = rows.map(|row| self.show(batch, row)).collect();

        let samples = corrupted.positions.iter().zip(&corrupted.originals).zip(&corrupted.replaced);
        for ((flat, original), replaced) in samples {
            let flat = *flat as usize;
            let token = &mut shown[flat / len][flat % len];
            token.token = corrupted.sequences.tokens[flat];
            token.label = Some(*original);
            token.mark = if *replaced { Mark::Replaced } else { Mark::Kept };
        }
        shown
    }

    fn init_sources(&self, name: &str) -> Vec<String> {
        let alone = name.strip_prefix("generator.").map(export::name_alone);
        [Some(name.to_owned()), alone].into_iter().flatten().collect()
    }

    fn import(model: &HubModel) -> Option<RtdConfig> {
        export::import(model)
    }

    fn export(
        config: &RtdConfig,
        trained: TrainedModel<'_>,
        family: Option<Family>,
    ) -> Result<Vec<ExportedModel>, hub::Error> {
        export::export(config, trained, family)
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &RtdBatch) -> f64 {
        let sequences = &batch.mlm.sequences;
        let slots = batch.mlm.labels.len();
        let generator = match self.config.generator.kind {
            GeneratorKind::Model => {
                let shape = self.config.generator.shape(encoder);
                encoder_flops(&shape, sequences) + head_flops(&shape, slots)
            }
            GeneratorKind::Unigram | GeneratorKind::Uniform => 0.0,
        };
        // A frozen generator has a forward pass only, a third of what training it takes.
        let generator = if self.config.generator.frozen { generator / 3.0 } else { generator };

        let hidden = encoder.hidden as f64;
        let detect = |tokens: usize| tokens as f64 * 2.0 * hidden * (hidden + 1.0);
        let head = match self.config.variant {
            Variant::Electra => detect(sequences.real_tokens()),
            Variant::Electra15 => detect(slots),
            Variant::ReplaceMlm => head_flops(encoder, slots),
            Variant::AllTokensMlm => head_flops(encoder, sequences.real_tokens()),
        };

        generator + encoder_flops(encoder, sequences) + head
    }
}
