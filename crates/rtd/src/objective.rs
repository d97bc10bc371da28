//! Replaced-token detection and its ablations as an objective.

use ::objective::{
    Context, Decisions, Error, Example, Mark, Objective, Purpose, Shown, Step, Tally, Term,
};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use kernels::{Sampling, Targets, vocabulary_sample};
use mlm::{Maskers, NAMES, Names, encoder_flops, head_flops, predicted};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderConfig, MlmHead, Noise, Predicted, Sequences};

use crate::batch::{Corrupted, RtdBatch, collate};
use crate::config::{Kind, RtdConfig, Variant};
use crate::discriminator::{RtdHead, binary_cross_entropy};
use crate::model::RtdModel;

/// What the generator's loss and metrics are called.
const GENERATOR: Names =
    ["generator/loss", "generator/accuracy", "generator/masked_accuracy", "generator/masked_loss"];

/// Replaced-token detection.
#[derive(Debug)]
pub struct Rtd {
    config: RtdConfig,
    context: Context,
    maskers: Maskers,
}

impl Rtd {
    /// Whether the generator has a loss.
    fn trains_generator(&self) -> bool {
        self.config.generator.kind == Kind::Model && !self.config.generator.frozen
    }

    /// The samples of a batch, and what the generator's pass gives besides.
    fn generate(
        &self,
        model: &RtdModel,
        batch: &RtdBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> (Vec<u32>, Option<(Term, Vec<Tally>)>) {
        let Some(generator) = &model.generator else { return (batch.drawn.clone(), None) };
        let training = noise.is_some();
        let input = batch.mlm.sequences.input(device);
        let hidden = generator.hidden(&model.encoder, &input, batch.mlm.asked(), noise);
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
        let (mut term, tallies) =
            batch.mlm.loss(GENERATOR, &generator.head, table, hidden, training);
        term.coefficient = self.config.generator_weight;
        (samples, Some((term, tallies)))
    }

    /// Which tokens were replaced, for all tokens or at the chosen places.
    fn detect(
        &self,
        model: &RtdModel,
        head: &RtdHead,
        corrupted: &Corrupted,
        pass: Pass<'_>,
    ) -> Step {
        let Pass { noise, device } = pass;
        let training = noise.is_some();
        let input = corrupted.sequences.input(device);
        let (hidden, replaced, real) = match self.config.variant {
            Variant::Electra15 if corrupted.places.is_empty() => {
                (model.encoder.forward_at(&input, &[0], noise), vec![false], vec![false])
            }
            Variant::Electra15 => {
                let hidden = model.encoder.forward_at(&input, &corrupted.places, noise);
                (hidden, corrupted.replaced.clone(), vec![true; corrupted.places.len()])
            }
            _ => {
                let (replaced, real) = corrupted.rows(&input);
                (model.encoder.forward(&input, noise), replaced, real)
            }
        };
        let logits = head.forward(hidden);
        let losses = binary_cross_entropy(logits.clone(), &replaced);
        let sum = (losses * floats(&real, device)).sum();
        let weight = count(&real);
        let tally = Tally { name: "rtd/loss", sum, weight };
        let mut step =
            Step::new(vec![Term { tally, coefficient: self.config.encoder_weight() }], Vec::new());
        if !training {
            let scores: Vec<f32> = logits.into_data().iter::<f32>().collect();
            let asked = || real.iter().zip(&replaced).zip(&scores).filter(|((real, _), _)| **real);
            let hits: Vec<bool> = real
                .iter()
                .zip(&replaced)
                .zip(&scores)
                .map(|((real, replaced), score)| *real && (*score > 0.0) == *replaced)
                .collect();
            let share = |flags: &[bool]| floats(flags, device).sum();
            let faked: Vec<bool> =
                real.iter().zip(&replaced).map(|(real, replaced)| *real && *replaced).collect();
            let kept: Vec<bool> = corrupted.replaced.iter().map(|replaced| !replaced).collect();
            step.tallies.push(Tally { name: "rtd/accuracy", sum: share(&hits), weight });
            step.tallies.push(Tally { name: "rtd/replaced", sum: share(&faked), weight });
            if !kept.is_empty() {
                step.tallies.push(Tally {
                    name: "rtd/sampled_originals",
                    sum: share(&kept),
                    weight: kept.len() as f64,
                });
            }
            step.decisions = Some(Decisions {
                name: Self::NAME,
                scores: asked().map(|(_, score)| *score).collect(),
                answers: asked().map(|((_, replaced), _)| *replaced).collect(),
            });
        }
        step
    }

    /// The original tokens at the chosen places, from the corrupted sequences.
    fn replace(
        &self,
        model: &RtdModel,
        head: &MlmHead,
        batch: &RtdBatch,
        corrupted: &Corrupted,
        pass: Pass<'_>,
    ) -> Step {
        let Pass { noise, device } = pass;
        let training = noise.is_some();
        let input = corrupted.sequences.input(device);
        let hidden = model.encoder.forward_at(&input, batch.mlm.asked(), noise);
        let (mut term, tallies) =
            batch.mlm.loss(NAMES, head, model.encoder.embeddings.tokens.val(), hidden, training);
        term.coefficient = self.config.encoder_weight();
        Step::new(vec![term], tallies)
    }

    /// The original of every token, with a copy gate.
    ///
    /// With `g` the gate's logit, `D = sigmoid(g)` and `p` the softmax's probability of the
    /// original, a replaced token costs `softplus(g) - ln p`, and one that is the input
    /// `softplus(g) - ln(e^g + p)`. The softmax's gradient is that of `-r ln p` with `r = 1` there
    /// and `r = p / (e^g + p)`, the share of the softmax in the probability, here; so it is the
    /// weighted loss of the output layer, which holds only a chunk of the logits at a time.
    fn predict_all(
        &self,
        model: &RtdModel,
        (head, gate): (&MlmHead, &trunk::Linear),
        batch: &RtdBatch,
        corrupted: &Corrupted,
        pass: Pass<'_>,
    ) -> Step {
        let Pass { noise, device } = pass;
        let training = noise.is_some();
        let input = corrupted.sequences.input(device);
        let (replaced, real) = corrupted.rows(&input);
        let original = batch.mlm.unmasked();
        let place = |(row, position): (&u32, &u32)| {
            original.tokens[*row as usize * original.len + *position as usize]
        };
        let labels: Vec<u32> =
            input.rows.sequences().iter().zip(input.rows.positions()).map(place).collect();
        let table = model.encoder.embeddings.tokens.val();
        let hidden = model.encoder.forward(&input, noise);
        let scores = head.scores(hidden.clone(), table.clone(), &labels);
        let losses: Vec<f32> = scores.losses.clone().into_data().iter::<f32>().collect();
        let logits = gate.forward(hidden.clone());
        let gates: Vec<f32> = logits.clone().into_data().iter::<f32>().collect();
        let share = |i: usize| match (real[i], replaced[i]) {
            (false, _) => 0.0,
            (true, true) => 1.0,
            // sigmoid(ln p - g)
            (true, false) => 1.0 / (1.0 + (gates[i] + losses[i]).exp()),
        };
        let weights: Vec<f32> = (0..labels.len()).map(share).collect();
        let n = labels.len();
        let upload = |values: &[f32]| Tensor::<1>::from_data(values, device);
        let nothing = vec![false; n];
        let softplus = |x: Tensor<2>| binary_cross_entropy(x, &nothing);
        let copied: Vec<bool> =
            real.iter().zip(&replaced).map(|(real, replaced)| *real && !replaced).collect();
        let negative_log = upload(&losses);
        let shifted = logits.clone() + negative_log.clone().unsqueeze_dim(1);
        let each = (softplus(logits) + negative_log) * floats(&real, device)
            - softplus(shifted) * floats(&copied, device);
        let surrogate =
            head.loss(hidden.clone(), table.clone(), Targets { labels, weights: Some(weights) });
        let sum = each.clone().sum() + surrogate.clone() - surrogate.detach();
        let tally = Tally { name: "mlm/loss", sum, weight: count(&real) };
        let mut step =
            Step::new(vec![Term { tally, coefficient: self.config.encoder_weight() }], Vec::new());
        if !training {
            let slots: Vec<bool> = {
                let places = input.rows.sequences().iter().zip(input.rows.positions());
                let chosen = |(row, position): (&u32, &u32)| {
                    corrupted
                        .places
                        .binary_search(&(row * corrupted.sequences.len as u32 + position))
                        .is_ok()
                };
                places.map(chosen).collect()
            };
            let slots_here = floats(&slots, device);
            let weight = count(&slots);
            // Whether no other token has a higher p, in units of 1 - D.
            let read = |x: Tensor<1>| x.into_data().iter::<f32>().collect::<Vec<f32>>();
            let inputs = head.scores(hidden, table, &input.tokens).losses;
            let (inputs, lowest, hits) = (read(inputs), read(scores.lowest), read(scores.hits));
            let best = |i: usize| match replaced[i] {
                true => hits[i] > 0.0 && (-losses[i]).exp() >= gates[i].exp() + (-inputs[i]).exp(),
                false => gates[i].exp() + (-losses[i]).exp() >= (-lowest[i]).exp(),
            };
            let hits: Vec<bool> = (0..n).map(|i| slots[i] && best(i)).collect();
            step.tallies.push(Tally {
                name: "mlm/accuracy",
                sum: floats(&hits, device).sum(),
                weight,
            });
            step.tallies.push(Tally {
                name: "mlm/chosen_loss",
                sum: (each * slots_here).sum(),
                weight,
            });
        }
        step
    }
}

/// How a forward pass is made.
struct Pass<'a> {
    noise: Option<&'a mut Noise>,
    device: &'a Device,
}

fn floats(flags: &[bool], device: &Device) -> Tensor<1> {
    let values: Vec<f32> = flags.iter().map(|flag| f32::from(u8::from(*flag))).collect();
    Tensor::from_data(values.as_slice(), device)
}

fn count(flags: &[bool]) -> f64 {
    flags.iter().filter(|flag| **flag).count() as f64
}

impl Objective for Rtd {
    const NAME: &'static str = "rtd";
    const ABOUT: &'static str =
        "replaced-token detection (ELECTRA) and its ablations: tell a generator's tokens apart";

    type Config = RtdConfig;
    type Batch = RtdBatch;
    type Model = RtdModel;

    fn new(mut config: RtdConfig, context: &Context) -> Result<Self, Error> {
        config.validate()?;
        if config.compat {
            (config.masking.repeat, config.evaluation.repeat) = (true, true);
        }
        if config.generator.kind == Kind::Unigram && context.counts.iter().all(|count| *count == 0)
        {
            let message =
                "generator.kind = \"unigram\": needs the token counts of the training text";
            return Err(Error(message.to_owned()));
        }
        let maskers = Maskers::new(&config.masking, &config.evaluation, 0, context)?;
        Ok(Self { context: context.clone(), maskers, config })
    }

    fn room(&self) -> usize {
        2
    }

    fn collate(&self, examples: &[Example], purpose: Purpose) -> RtdBatch {
        collate(examples, purpose, &self.maskers, &self.config, &self.context)
    }

    fn sequences<'b>(&self, batch: &'b RtdBatch) -> &'b Sequences {
        &batch.mlm.sequences
    }

    fn weights(&self, batch: &RtdBatch) -> Vec<f64> {
        let slots = batch.mlm.labels.len() as f64;
        let encoder = match self.config.variant {
            Variant::Electra | Variant::AllTokensMlm => batch.mlm.sequences.real_tokens() as f64,
            Variant::Electra15 => trunk::union(&[&batch.mlm.places]).len() as f64,
            Variant::ReplaceMlm => slots,
        };
        if self.trains_generator() { vec![slots, encoder] } else { vec![encoder] }
    }

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> RtdModel {
        RtdModel::init(&self.config, encoder, rng, device)
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
        let mut step = match (&model.discriminator, &model.head, &model.gate) {
            (Some(head), ..) => self.detect(model, head, &corrupted, pass),
            (None, Some(head), None) => self.replace(model, head, batch, &corrupted, pass),
            (None, Some(head), Some(gate)) => {
                self.predict_all(model, (head, gate), batch, &corrupted, pass)
            }
            (None, None, _) => unreachable!("a model of this objective has one of the heads"),
        };
        if let Some((term, tallies)) = generated {
            step.tallies.splice(0..0, tallies);
            if self.trains_generator() {
                step.terms.insert(0, term);
            }
        }
        step
    }

    /// Those of the encoder where it predicts tokens, else of the generator.
    fn predict<'m>(
        &self,
        model: &'m RtdModel,
        sequences: &Sequences,
        places: &[u32],
        device: &Device,
    ) -> Option<Predicted<'m>> {
        if let Some(head) = &model.head {
            let mut predicted = predicted(&model.encoder, head, sequences, places, device);
            // ln (1 - D)
            let share = |gate: &trunk::Linear| {
                let logits = gate.forward(predicted.hidden.clone());
                binary_cross_entropy(logits, &vec![false; places.len()]).neg()
            };
            predicted.share = model.gate.as_ref().map(share);
            return Some(predicted);
        }
        let generator = model.generator.as_ref()?;
        let hidden = generator.hidden(&model.encoder, &sequences.input(device), places, None);
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
        let rows = 0..batch.mlm.sequences.batch();
        let mut shown: Vec<Vec<Shown>> = rows.map(|row| self.show(batch, row)).collect();
        let places = corrupted.places.iter().zip(&corrupted.originals).zip(&corrupted.replaced);
        for ((place, original), replaced) in places {
            let (row, position) = (
                *place as usize / corrupted.sequences.len,
                *place as usize % corrupted.sequences.len,
            );
            let token = corrupted.sequences.tokens[*place as usize];
            let mark = if *replaced { Mark::Replaced } else { Mark::Kept };
            shown[row][position] =
                Shown { token, label: Some(*original), mark, ..shown[row][position] };
        }
        shown
    }

    fn ancestors(&self, name: &str) -> Vec<String> {
        let of_encoder = name.strip_prefix("generator.").map(|part| match part.split('.').next() {
            Some("head") => part.to_owned(),
            Some("stack") => format!("encoder.{part}"),
            _ => format!("encoder.embeddings.{part}"),
        });
        [Some(name.to_owned()), of_encoder].into_iter().flatten().collect()
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &RtdBatch) -> f64 {
        let sequences = &batch.mlm.sequences;
        let slots = batch.mlm.labels.len();
        let generator = match self.config.generator.kind {
            Kind::Model => {
                let shape = self.config.generator.shape(encoder);
                encoder_flops(&shape, sequences) + head_flops(&shape, slots)
            }
            Kind::Unigram | Kind::Uniform => 0.0,
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
