//! A task on labelled data, independent of the network.

use ::objective::{Context, Error, Example, Goal, Mark, Shown, Step, Tally, Term};
use burn::tensor::Tensor;
use kernels::{cross_entropy, gather};
use trunk::{EncoderInput, Sequences};

use crate::batch::{TaskBatch, TaskLabels, collate};
use crate::distillation::DistillationConfig;
use crate::kind::TaskKind;
use crate::metrics::{self, largest};

/// A logit whose softmax is 0.
const NEVER: f32 = -1e9;

/// The loss and the metrics of a network's outputs.
#[derive(Debug)]
pub struct Task {
    /// What is predicted.
    pub kind: TaskKind,
    /// The classes or tags, in the order of their numbers.
    pub labels: Vec<String>,
    /// How the task is learnt from a teacher.
    pub distillation: DistillationConfig,
    context: Context,
}

impl Task {
    /// A task with these classes or tags.
    ///
    /// # Errors
    /// Names the setting at fault, and what it should be.
    pub fn new(
        kind: TaskKind,
        labels: Vec<String>,
        distillation: DistillationConfig,
        context: &Context,
    ) -> Result<Self, Error> {
        if matches!(kind, TaskKind::Classification | TaskKind::Tagging) && labels.len() < 2 {
            return Err(Error(format!("labels = {labels:?}: there must be at least two")));
        }
        distillation.validate(kind)?;
        Ok(Self { kind, labels, distillation, context: context.clone() })
    }

    /// The number of outputs for a sequence or a token.
    pub fn outputs(&self) -> usize {
        self.kind.outputs(&self.labels)
    }

    /// Makes a batch.
    pub fn collate(&self, examples: &[Example]) -> TaskBatch {
        collate(examples, self.context.specials.pad, self.context.encoder.segments)
    }

    /// The number of targets of each loss term: of the labels and, where there is a teacher, of its
    /// outputs.
    pub fn target_counts(&self, batch: &TaskBatch) -> Vec<f64> {
        let labelled = batch.labels.count() as f64;
        if self.distillation.share == 0.0 {
            return vec![labelled];
        }
        let taught = batch.teacher_logits.len() / self.outputs();
        vec![labelled, taught as f64]
    }

    /// The loss terms of a training pass, with metrics and outputs in an evaluation pass, given the
    /// network's `outputs`, `[n, outputs]` for each sequence or each row of `input`.
    pub fn step(
        &self,
        outputs: Tensor<2>,
        input: &EncoderInput,
        batch: &TaskBatch,
        pass: Pass,
    ) -> Step {
        let counts = self.target_counts(batch);
        let sum = self.loss(&outputs, input, &batch.sequences, &batch.labels);
        let tally = Tally { name: "finetune/loss", sum, count: counts[0] };
        let mut terms = vec![Term { tally, coefficient: 1.0 - self.distillation.share }];

        if let Some(count) = counts.get(1).copied() {
            let sum = if count > 0.0 {
                self.distillation.loss(&outputs, &batch.teacher_logits)
            } else {
                outputs.clone().sum() * 0.0
            };
            let tally = Tally { name: "finetune/distillation", sum, count };
            terms.push(Term { tally, coefficient: self.distillation.share });
        }

        let mut step = Step::new(terms, Vec::new());
        if pass == Pass::Evaluation {
            let device = outputs.device();
            step.outputs = self.split(outputs, input, &batch.sequences);
            if let Some((name, hits)) = self.hits(&step.outputs, batch) {
                let sum = Tensor::from_floats([hits as f32], &device);
                step.tallies.push(Tally { name, sum, count: counts[0] });
            }
        }
        step
    }

    /// The summed loss of `labels`, `[1]`.
    fn loss(
        &self,
        outputs: &Tensor<2>,
        input: &EncoderInput,
        sequences: &Sequences,
        labels: &TaskLabels,
    ) -> Tensor<1> {
        // Without labels the loss is a zero that depends on every parameter.
        let zero = || outputs.clone().sum() * 0.0;

        match labels {
            TaskLabels::None => zero(),
            TaskLabels::Classes(classes) => cross_entropy(outputs.clone(), classes).sum(),
            TaskLabels::Scores(scores) => {
                let device = outputs.device();
                let wanted =
                    Tensor::<1>::from_data(scores.as_slice(), &device).reshape([scores.len(), 1]);
                (outputs.clone() - wanted).powi_scalar(2).sum()
            }
            TaskLabels::Tags(positions, _) if positions.is_empty() => zero(),
            TaskLabels::Tags(positions, tags) => {
                let rows: Vec<u32> =
                    positions.iter().map(|position| input.row(*position)).collect();
                cross_entropy(gather(outputs.clone(), rows), tags).sum()
            }
            TaskLabels::Spans(starts, ends) => {
                let [first, last] = ends_of(outputs, input, sequences);
                (cross_entropy(first, starts).sum() + cross_entropy(last, ends).sum()) * 0.5
            }
        }
    }

    /// The outputs, split by example: logits of the classes, the score, logits of the tags
    /// token by token, or the logits of being the first token and then those of being the last.
    fn split(
        &self,
        outputs: Tensor<2>,
        input: &EncoderInput,
        sequences: &Sequences,
    ) -> Vec<Vec<f32>> {
        let [_, width] = outputs.dims();
        let values: Vec<f32> = outputs.into_data().iter::<f32>().collect();
        if self.kind.of_sequence() {
            return values.chunks(width).map(<[f32]>::to_vec).collect();
        }

        let rows = sequences.lengths.iter().enumerate().map(|(row, length)| {
            let start = input.rows.range(row).start * width;
            &values[start..start + length * width]
        });
        let firsts_then_lasts = |row: &[f32]| -> Vec<f32> {
            let (firsts, lasts) = (row.iter().step_by(2), row.iter().skip(1).step_by(2));
            firsts.chain(lasts).copied().collect()
        };
        match self.kind {
            TaskKind::Question => rows.map(firsts_then_lasts).collect(),
            _ => rows.map(<[f32]>::to_vec).collect(),
        }
    }

    /// The number of right predictions, and the metric that it belongs to.
    fn hits(&self, outputs: &[Vec<f32>], batch: &TaskBatch) -> Option<(&'static str, usize)> {
        match &batch.labels {
            TaskLabels::Classes(classes) => {
                let pairs = outputs.iter().zip(classes);
                let hits = pairs.filter(|(logits, class)| largest(logits) == **class as usize);
                Some(("finetune/accuracy", hits.count()))
            }
            TaskLabels::Tags(positions, tags) => {
                let (width, len) = (self.outputs(), batch.sequences.len);
                let predicted = |flat: u32| {
                    let (row, position) = (flat as usize / len, flat as usize % len);
                    largest(&outputs[row][position * width..][..width])
                };

                let pairs = positions.iter().zip(tags);
                let hits = pairs.filter(|(flat, tag)| predicted(**flat) == **tag as usize);
                Some(("finetune/accuracy", hits.count()))
            }
            TaskLabels::Spans(starts, ends) => {
                let is_hit = |(logits, (start, end)): &(&Vec<f32>, (&u32, &u32))| {
                    let (first, last) = logits.split_at(logits.len() / 2);
                    largest(first) == **start as usize && largest(last) == **end as usize
                };

                let hits = outputs.iter().zip(starts.iter().zip(ends)).filter(is_hit);
                Some(("finetune/window_exact", hits.count()))
            }
            TaskLabels::None | TaskLabels::Scores(_) => None,
        }
    }

    /// Row `row` of `batch` as a network sees it.
    pub fn show(&self, batch: &TaskBatch, row: usize) -> Vec<Shown> {
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

    /// The label of row `row`, in words.
    pub fn caption(&self, batch: &TaskBatch, row: usize) -> Option<String> {
        match &batch.labels {
            TaskLabels::Classes(classes) => self.labels.get(*classes.get(row)? as usize).cloned(),
            TaskLabels::Scores(scores) => Some(scores.get(row)?.to_string()),
            TaskLabels::Spans(starts, ends) => {
                Some(format!("tokens {} to {}", starts.get(row)?, ends.get(row)?))
            }
            TaskLabels::None | TaskLabels::Tags(..) => None,
        }
    }

    /// Metrics that are no means over examples.
    pub fn metrics(&self, examples: &[Example], outputs: &[Vec<f32>]) -> Vec<(&'static str, f64)> {
        match self.kind {
            TaskKind::Classification => metrics::of_classes(self.labels.len(), examples, outputs),
            TaskKind::Regression => metrics::of_scores(examples, outputs),
            TaskKind::Tagging | TaskKind::Question => Vec::new(),
        }
    }

    /// Which evaluation is the best.
    pub fn goal(&self) -> Goal {
        match self.kind {
            TaskKind::Classification | TaskKind::Tagging => Goal::Highest("finetune/accuracy"),
            TaskKind::Regression => Goal::Highest("finetune/spearman"),
            TaskKind::Question => Goal::Highest("finetune/window_exact"),
        }
    }
}

/// The purpose of a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The gradient.
    Training,
    /// The outputs.
    Evaluation,
}

/// The logits of being the first and the last token of the answer, each `[batch, len]`; those of
/// padding are [`NEVER`].
fn ends_of(outputs: &Tensor<2>, input: &EncoderInput, sequences: &Sequences) -> [Tensor<2>; 2] {
    let (batch, len, device) = (sequences.batch(), sequences.len, outputs.device());
    let is_real = |flat: usize| flat % len < sequences.lengths[flat / len];
    let rows = (0..batch * len).map(|flat| if is_real(flat) { input.row(flat as u32) } else { 0 });
    let rows = rows.collect();

    let never: Vec<f32> =
        (0..batch * len).map(|flat| if is_real(flat) { 0.0 } else { NEVER }).collect();
    let never = Tensor::<1>::from_data(never.as_slice(), &device).reshape([batch, len]);

    let spread = gather(outputs.clone(), rows);
    [0, 1].map(|end| {
        spread.clone().slice([0..batch * len, end..end + 1]).reshape([batch, len]) + never.clone()
    })
}
