//! What is learnt from labelled data, whatever network says it.

use ::objective::{Answer, Context, Error, Example, Goal, Mark, Shown, Step, Tally, Term};
use burn::tensor::Tensor;
use kernels::{cross_entropy, gather};
use tasks::metrics;
use trunk::{Input, Sequences};

use crate::advice::AdviceConfig;
use crate::batch::{Answers, TuneBatch, collate};
use crate::kind::Kind;

/// A logit that no softmax gives anything.
const NEVER: f32 = -1e9;

/// The loss over what a network says, and how good that is.
#[derive(Debug)]
pub struct Task {
    /// What is predicted.
    pub kind: Kind,
    /// The classes or tags, in the order of their numbers.
    pub labels: Vec<String>,
    /// What is learnt from a teacher.
    pub advice: AdviceConfig,
    context: Context,
}

impl Task {
    /// A task with these classes or tags.
    ///
    /// # Errors
    /// Names what does not fit together, and what it should be.
    pub fn new(
        kind: Kind,
        labels: Vec<String>,
        advice: AdviceConfig,
        context: &Context,
    ) -> Result<Self, Error> {
        if matches!(kind, Kind::Classification | Kind::Tagging) && labels.len() < 2 {
            return Err(Error(format!("labels = {labels:?}: there must be at least two")));
        }
        advice.validate(kind)?;
        Ok(Self { kind, labels, advice, context: context.clone() })
    }

    /// Numbers that a network says about a sequence or a token.
    pub fn outputs(&self) -> usize {
        self.kind.outputs(&self.labels)
    }

    /// Puts examples together.
    pub fn collate(&self, examples: &[Example]) -> TuneBatch {
        collate(examples, self.context.specials.pad, self.context.encoder.segments)
    }

    /// The weights of the loss terms.
    pub fn weights(&self, batch: &TuneBatch) -> Vec<f64> {
        let hard = batch.answers.count() as f64;
        if self.advice.share > 0.0 { vec![hard, self.advised(batch) as f64] } else { vec![hard] }
    }

    /// How many sequences a teacher has said something about.
    fn advised(&self, batch: &TuneBatch) -> usize {
        batch.advice.len() / self.outputs()
    }

    /// The loss terms of a training pass, with metrics and outputs in an evaluation pass, given
    /// what the network says: `[n, outputs]` for each sequence or each row of `input`.
    pub fn step(&self, outputs: Tensor<2>, input: &Input, batch: &TuneBatch, pass: Pass) -> Step {
        let weights = self.weights(batch);
        let sum = self.loss(&outputs, input, &batch.sequences, &batch.answers);
        let tally = Tally { name: "finetune/loss", sum, weight: weights[0] };
        let mut terms = vec![Term { tally, coefficient: 1.0 - self.advice.share }];
        if let Some(weight) = weights.get(1) {
            let sum = if *weight > 0.0 {
                self.advice.loss(&outputs, &batch.advice)
            } else {
                outputs.clone().sum() * 0.0
            };
            let tally = Tally { name: "finetune/distillation", sum, weight: *weight };
            terms.push(Term { tally, coefficient: self.advice.share });
        }
        let mut step = Step::new(terms, Vec::new());
        if pass == Pass::Evaluation {
            let device = outputs.device();
            step.outputs = self.split(outputs, input, &batch.sequences);
            if let Some((name, hits)) = self.right(&step.outputs, batch) {
                let sum = Tensor::from_floats([hits as f32], &device);
                step.tallies.push(Tally { name, sum, weight: weights[0] });
            }
        }
        step
    }

    /// The summed loss of `answers`, `[1]`.
    fn loss(
        &self,
        outputs: &Tensor<2>,
        input: &Input,
        sequences: &Sequences,
        answers: &Answers,
    ) -> Tensor<1> {
        match answers {
            Answers::None => outputs.clone().sum() * 0.0,
            Answers::Classes(classes) => cross_entropy(outputs.clone(), classes).sum(),
            Answers::Scores(scores) => {
                let device = outputs.device();
                let wanted =
                    Tensor::<1>::from_data(scores.as_slice(), &device).reshape([scores.len(), 1]);
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

    /// What the model says, split by example: logits of the classes, the score, logits of the tags
    /// token by token, or the logits of being the first token and then those of being the last.
    fn split(&self, outputs: Tensor<2>, input: &Input, sequences: &Sequences) -> Vec<Vec<f32>> {
        let [_, width] = outputs.dims();
        let values: Vec<f32> = outputs.into_data().iter::<f32>().collect();
        if self.kind.of_sequence() {
            return values.chunks(width).map(<[f32]>::to_vec).collect();
        }
        let rows = sequences.lengths.iter().enumerate().map(|(row, length)| {
            let start = input.rows.range(row).start * width;
            &values[start..start + length * width]
        });
        match self.kind {
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
                let hits = outputs
                    .iter()
                    .zip(classes)
                    .filter(|(logits, class)| largest(logits) == **class as usize);
                Some(("finetune/accuracy", hits.count()))
            }
            Answers::Tags(places, tags) => {
                let (width, len) = (self.outputs(), batch.sequences.len);
                let said = |place: u32| {
                    let (row, position) = (place as usize / len, place as usize % len);
                    largest(&outputs[row][position * width..][..width])
                };
                let hits =
                    places.iter().zip(tags).filter(|(place, tag)| said(**place) == **tag as usize);
                Some(("finetune/accuracy", hits.count()))
            }
            Answers::Spans(starts, ends) => {
                let hit = |(logits, (start, end)): &(&Vec<f32>, (&u32, &u32))| {
                    let (first, last) = logits.split_at(logits.len() / 2);
                    largest(first) == **start as usize && largest(last) == **end as usize
                };
                Some((
                    "finetune/exact",
                    outputs.iter().zip(starts.iter().zip(ends)).filter(hit).count(),
                ))
            }
            Answers::None | Answers::Scores(_) => None,
        }
    }

    /// Row `row` of `batch` as a network sees it.
    pub fn show(&self, batch: &TuneBatch, row: usize) -> Vec<Shown> {
        let sequences = &batch.sequences;
        let tokens = &sequences.tokens[row * sequences.len..][..sequences.lengths[row]];
        let segment =
            |i: usize| sequences.segments.get(row * sequences.len + i).copied().unwrap_or(0);
        let plain = |(i, token): (usize, &u32)| {
            let special = self.context.special_ids.binary_search(token).is_ok();
            let mark = if special { Mark::Special } else { Mark::Plain };
            Shown { token: *token, label: None, mark, segment: segment(i) }
        };
        tokens.iter().enumerate().map(plain).collect()
    }

    /// What is asked about row `row`.
    pub fn remark(&self, batch: &TuneBatch, row: usize) -> Option<String> {
        match &batch.answers {
            Answers::Classes(classes) => self.labels.get(*classes.get(row)? as usize).cloned(),
            Answers::Scores(scores) => Some(scores.get(row)?.to_string()),
            Answers::Spans(starts, ends) => {
                Some(format!("tokens {} to {}", starts.get(row)?, ends.get(row)?))
            }
            Answers::None | Answers::Tags(..) => None,
        }
    }

    /// Metrics that are no means over examples.
    pub fn judge(&self, examples: &[Example], outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)> {
        let known = || {
            examples
                .iter()
                .zip(outputs)
                .filter_map(|(example, output)| Some((example.answer.as_ref()?, output)))
        };
        match self.kind {
            Kind::Classification => {
                let (mut said, mut gold) = (Vec::new(), Vec::new());
                for (answer, logits) in known() {
                    let Answer::Class(class) = answer else { continue };
                    said.push(largest(logits) as u32);
                    gold.push(*class);
                }
                let mut found = agreement(examples, outputs);
                if gold.is_empty() {
                    return found;
                }
                found.extend([
                    ("finetune/matthews", metrics::matthews(&said, &gold)),
                    ("finetune/macro_f1", metrics::macro_f1(&said, &gold)),
                ]);
                if self.labels.len() == 2 {
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

    /// Which evaluation is the best.
    pub fn goal(&self) -> Goal {
        match self.kind {
            Kind::Classification | Kind::Tagging => Goal::Highest("finetune/accuracy"),
            Kind::Regression => Goal::Highest("finetune/spearman"),
            Kind::Question => Goal::Highest("finetune/exact"),
        }
    }
}

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Its gradient.
    Training,
    /// Its outputs.
    Evaluation,
}

/// How often the most probable class is the teacher's, where a teacher has said something.
fn agreement(examples: &[Example], outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)> {
    let both = examples
        .iter()
        .zip(outputs)
        .filter_map(|(example, said)| Some((example.advice.as_ref()?, said)));
    let agree: Vec<bool> = both.map(|(advice, said)| largest(advice) == largest(said)).collect();
    let share = agree.iter().filter(|agree| **agree).count() as f64 / agree.len() as f64;
    if agree.is_empty() { Vec::new() } else { vec![("finetune/agreement", share)] }
}

/// The logits of being the first and the last token of the answer, each `[batch, len]`, padding
/// never.
fn ends_of(outputs: &Tensor<2>, input: &Input, sequences: &Sequences) -> [Tensor<2>; 2] {
    let (batch, len, device) = (sequences.batch(), sequences.len, outputs.device());
    let real = |place: usize| place % len < sequences.lengths[place / len];
    let rows = (0..batch * len)
        .map(|place| if real(place) { input.row(place as u32) } else { 0 })
        .collect();
    let never: Vec<f32> =
        (0..batch * len).map(|place| if real(place) { 0.0 } else { NEVER }).collect();
    let never = Tensor::<1>::from_data(never.as_slice(), &device).reshape([batch, len]);
    let spread = gather(outputs.clone(), rows);
    [0, 1].map(|end| {
        spread.clone().slice([0..batch * len, end..end + 1]).reshape([batch, len]) + never.clone()
    })
}

/// The index of the largest value, the first of equal ones.
pub fn largest(values: &[f32]) -> usize {
    values
        .iter()
        .enumerate()
        .fold(0, |best, (i, value)| if *value > values[best] { i } else { best })
}
