//! Fine-tuning as an objective.

use ::objective::{Answer, Context, Error, Example, Goal, Mark, Objective, Purpose, Shown, Step, Tally, Term};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use kernels::{cross_entropy, gather};
use rand_chacha::ChaCha8Rng;
use tasks::metrics;
use trunk::{Encoder, EncoderConfig, Input, Noise, Sequences};

use crate::batch::{Answers, TuneBatch, collate};
use crate::config::{HeadStyle, Kind, TuneConfig};
use crate::head::TaskHead;

/// A logit that no softmax gives anything.
const NEVER: f32 = -1e9;

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
    context: Context,
}

impl Tune {
    /// What the model says about `sequences`, `[n, outputs]`: for each of them, or for each of their rows (padding
    /// included where the device has it), which the second value tells.
    pub fn outputs(
        &self,
        model: &TuneModel,
        sequences: &Sequences,
        mut noise: Option<&mut Noise>,
        device: &Device,
    ) -> (Tensor<2>, Input) {
        let input = sequences.input(device);
        let outputs = if self.config.of_sequence() {
            let firsts: Vec<u32> = (0..sequences.batch()).map(|row| (row * sequences.len) as u32).collect();
            let hidden = model.encoder.forward_at(&input, &firsts, noise.as_deref_mut());
            model.task.forward(hidden, &input.select(&firsts).1, noise)
        } else {
            let hidden = model.encoder.forward(&input, noise.as_deref_mut());
            model.task.forward(hidden, &input.rows, noise)
        };
        (outputs, input)
    }

    /// The summed loss of `answers`, `[1]`.
    fn loss(&self, outputs: &Tensor<2>, input: &Input, sequences: &Sequences, answers: &Answers) -> Tensor<1> {
        match answers {
            Answers::None => outputs.clone().sum() * 0.0,
            Answers::Classes(classes) => cross_entropy(outputs.clone(), classes).sum(),
            Answers::Scores(scores) => {
                let device = outputs.device();
                let wanted = Tensor::<1>::from_data(scores.as_slice(), &device).reshape([scores.len(), 1]);
                (outputs.clone() - wanted).powi_scalar(2).sum()
            }
            // One row that counts nothing, so that every parameter has a gradient.
            Answers::Tags(places, _) if places.is_empty() => outputs.clone().sum() * 0.0,
            Answers::Tags(places, tags) => {
                let rows: Vec<u32> = places.iter().map(|place| input.row(*place)).collect();
                cross_entropy(gather(outputs.clone(), rows), tags).sum()
            }
            Answers::Spans(starts, ends) => {
                let [first, last] = ends_of(outputs, input, sequences);
                (cross_entropy(first, starts).sum() + cross_entropy(last, ends).sum()) * 0.5
            }
        }
    }

    /// What the model says, split by example: logits of the classes, the score, logits of the tags token by token, or the
    /// logits of being the first token and then those of being the last.
    fn split(&self, outputs: Tensor<2>, input: &Input, sequences: &Sequences) -> Vec<Vec<f32>> {
        let [_, width] = outputs.dims();
        let values: Vec<f32> = outputs.into_data().iter::<f32>().collect();
        if self.config.of_sequence() {
            return values.chunks(width).map(<[f32]>::to_vec).collect();
        }
        let rows = sequences.lengths.iter().enumerate().map(|(row, length)| {
            let start = input.rows.range(row).start * width;
            &values[start..start + length * width]
        });
        match self.config.kind {
            Kind::Question => rows
                .map(|row| {
                    let (first, last) = (row.iter().step_by(2), row.iter().skip(1).step_by(2));
                    first.chain(last).copied().collect()
                })
                .collect(),
            _ => rows.map(<[f32]>::to_vec).collect(),
        }
    }

    /// How many of the answers the model gives are right, and of how many.
    fn right(&self, outputs: &[Vec<f32>], batch: &TuneBatch) -> Option<(&'static str, usize)> {
        match &batch.answers {
            Answers::Classes(classes) => {
                let hits = outputs.iter().zip(classes).filter(|(logits, class)| largest(logits) == **class as usize);
                Some(("finetune/accuracy", hits.count()))
            }
            Answers::Tags(places, tags) => {
                let (width, len) = (self.config.outputs(), batch.sequences.len);
                let said = |place: u32| {
                    let (row, position) = (place as usize / len, place as usize % len);
                    largest(&outputs[row][position * width..][..width])
                };
                let hits = places.iter().zip(tags).filter(|(place, tag)| said(**place) == **tag as usize);
                Some(("finetune/accuracy", hits.count()))
            }
            Answers::Spans(starts, ends) => {
                let hit = |(logits, (start, end)): &(&Vec<f32>, (&u32, &u32))| {
                    let (first, last) = logits.split_at(logits.len() / 2);
                    largest(first) == **start as usize && largest(last) == **end as usize
                };
                Some(("finetune/exact", outputs.iter().zip(starts.iter().zip(ends)).filter(hit).count()))
            }
            Answers::None | Answers::Scores(_) => None,
        }
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
        Ok(Self { config, context: context.clone() })
    }

    /// Examples are whole sequences.
    fn room(&self) -> usize {
        0
    }

    fn collate(&self, examples: &[Example], _purpose: Purpose) -> TuneBatch {
        collate(examples, self.context.specials.pad, self.context.segments)
    }

    fn sequences<'b>(&self, batch: &'b TuneBatch) -> &'b Sequences {
        &batch.sequences
    }

    fn weights(&self, batch: &TuneBatch) -> Vec<f64> {
        vec![batch.answers.count() as f64]
    }

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> TuneModel {
        let stack = Encoder::init(encoder, rng, device);
        TuneModel { encoder: stack, task: TaskHead::init(&self.config, encoder, rng, device) }
    }

    fn forward(&self, model: &TuneModel, batch: &TuneBatch, noise: Option<&mut Noise>, device: &Device) -> Step {
        let training = noise.is_some();
        let (outputs, input) = self.outputs(model, &batch.sequences, noise, device);
        let sum = self.loss(&outputs, &input, &batch.sequences, &batch.answers);
        let weight = batch.answers.count() as f64;
        let tally = Tally { name: "finetune/loss", sum, weight };
        let mut step = Step::new(vec![Term { tally, coefficient: 1.0 }], Vec::new());
        if !training {
            step.outputs = self.split(outputs, &input, &batch.sequences);
            if let Some((name, hits)) = self.right(&step.outputs, batch) {
                step.tallies.push(Tally { name, sum: Tensor::from_floats([hits as f32], device), weight });
            }
        }
        step
    }

    fn encoder<'m>(&self, model: &'m TuneModel) -> &'m Encoder {
        &model.encoder
    }

    fn show(&self, batch: &TuneBatch, row: usize) -> Vec<Shown> {
        let sequences = &batch.sequences;
        let tokens = &sequences.tokens[row * sequences.len..][..sequences.lengths[row]];
        let segment = |i: usize| sequences.segments.get(row * sequences.len + i).copied().unwrap_or(0);
        let plain = |(i, token): (usize, &u32)| {
            let special = self.context.special_ids.binary_search(token).is_ok();
            let mark = if special { Mark::Special } else { Mark::Plain };
            Shown { token: *token, label: None, mark, segment: segment(i) }
        };
        tokens.iter().enumerate().map(plain).collect()
    }

    fn remark(&self, batch: &TuneBatch, row: usize) -> Option<String> {
        match &batch.answers {
            Answers::Classes(classes) => self.config.labels.get(*classes.get(row)? as usize).cloned(),
            Answers::Scores(scores) => Some(scores.get(row)?.to_string()),
            Answers::Spans(starts, ends) => Some(format!("tokens {} to {}", starts.get(row)?, ends.get(row)?)),
            Answers::None | Answers::Tags(..) => None,
        }
    }

    /// The pooler of a model that was pretrained on pairs is BERT's head.
    fn ancestor(&self, name: &str) -> String {
        match name.strip_prefix("task.dense.") {
            Some(part) if matches!(self.config.head, HeadStyle::Bert | HeadStyle::Tinybert) => {
                format!("pair.pooler.{part}")
            }
            _ => name.to_owned(),
        }
    }

    fn judge(&self, examples: &[Example], outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)> {
        let known =
            || examples.iter().zip(outputs).filter_map(|(example, output)| Some((example.answer.as_ref()?, output)));
        match self.config.kind {
            Kind::Classification => {
                let (mut said, mut gold) = (Vec::new(), Vec::new());
                for (answer, logits) in known() {
                    let Answer::Class(class) = answer else { continue };
                    said.push(largest(logits) as u32);
                    gold.push(*class);
                }
                if gold.is_empty() {
                    return Vec::new();
                }
                let mut found = vec![
                    ("finetune/matthews", metrics::matthews(&said, &gold)),
                    ("finetune/macro_f1", metrics::macro_f1(&said, &gold)),
                ];
                if self.config.labels.len() == 2 {
                    found.push(("finetune/f1", metrics::f1(&said, &gold, 1)));
                }
                found
            }
            Kind::Regression => {
                let pairs = known().filter_map(|(answer, output)| match answer {
                    Answer::Score(score) => Some((f64::from(output[0]), f64::from(*score))),
                    _ => None,
                });
                let (said, gold): (Vec<f64>, Vec<f64>) = pairs.unzip();
                let both = [
                    ("finetune/pearson", metrics::pearson(&said, &gold)),
                    ("finetune/spearman", metrics::spearman(&said, &gold)),
                ];
                both.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
            }
            Kind::Tagging | Kind::Question => Vec::new(),
        }
    }

    fn goal(&self) -> Goal {
        match self.config.kind {
            Kind::Classification | Kind::Tagging => Goal::Highest("finetune/accuracy"),
            Kind::Regression => Goal::Highest("finetune/spearman"),
            Kind::Question => Goal::Highest("finetune/exact"),
        }
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &TuneBatch) -> f64 {
        batch.sequences.lengths.iter().map(|len| *len as f64 * encoder.flops_per_token(*len)).sum()
    }
}

/// The logits of being the first and the last token of the answer, each `[batch, len]`, padding never.
fn ends_of(outputs: &Tensor<2>, input: &Input, sequences: &Sequences) -> [Tensor<2>; 2] {
    let (batch, len, device) = (sequences.batch(), sequences.len, outputs.device());
    let real = |place: usize| place % len < sequences.lengths[place / len];
    let rows = (0..batch * len).map(|place| if real(place) { input.row(place as u32) } else { 0 }).collect();
    let never: Vec<f32> = (0..batch * len).map(|place| if real(place) { 0.0 } else { NEVER }).collect();
    let never = Tensor::<1>::from_data(never.as_slice(), &device).reshape([batch, len]);
    let spread = gather(outputs.clone(), rows);
    [0, 1].map(|end| spread.clone().slice([0..batch * len, end..end + 1]).reshape([batch, len]) + never.clone())
}

/// The index of the largest value, the first of equal ones.
fn largest(values: &[f32]) -> usize {
    values.iter().enumerate().fold(0, |best, (i, value)| if *value > values[best] { i } else { best })
}
