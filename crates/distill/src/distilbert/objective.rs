//! DistilBERT as an objective.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use kernels::{Measure, gather, vocabulary_distance};
use mlm::{Laid, Maskers, MlmBatch, MlmModel, NAMES, encoder_flops, head_flops, predicted};
use objective::{Context, Error, Example, Objective, Purpose, Shown, Step, Tally, Teacher, Term};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderConfig, MlmHead, Noise, Predicted, Sequences};

use super::config::{DistilbertConfig, HeadStart, Positions, Start};
use crate::cosine::cosine_distances;
use crate::layers::spread;
use crate::teaching::{frozen, known};

/// DistilBERT.
#[derive(Debug)]
pub struct Distilbert {
    config: DistilbertConfig,
    context: Context,
    maskers: Maskers,
    /// The teacher's layer that each of the student's starts from.
    layers: Vec<usize>,
}

impl Distilbert {
    /// The teacher and its head, which every teacher that was let in has.
    fn teacher(&self) -> Option<(&Arc<Teacher>, &MlmHead)> {
        let teacher = self.context.teacher.as_ref()?;
        Some((teacher, teacher.model.head.as_ref()?))
    }
}

impl Objective for Distilbert {
    const NAME: &'static str = "distilbert";
    const ABOUT: &'static str =
        "distillation of predictions and hidden states (DistilBERT); needs a teacher";

    type Config = DistilbertConfig;
    type Batch = MlmBatch;
    type Model = MlmModel;

    fn new(config: DistilbertConfig, context: &Context) -> Result<Self, Error> {
        config.validate()?;
        let maskers = Maskers::new(&config.masking, &config.evaluation, 0, context)?;
        let student = &context.encoder;
        let mut layers = Vec::new();
        if let Some(teacher) = &context.teacher {
            fits(&config, student, teacher)?;
            layers = match config.layers.is_empty() {
                true => spread(teacher.config.layers, student.layers),
                false => config.layers.clone(),
            };
        }
        Ok(Self { config, context: context.clone(), maskers, layers })
    }

    fn room(&self) -> usize {
        2
    }

    fn needs_teacher(&self) -> bool {
        true
    }

    fn collate(&self, examples: &[Example], purpose: Purpose) -> MlmBatch {
        let lay =
            |example: &Example| Laid::passage(&example.passage, &self.context.specials, false);
        let laid: Vec<Laid> = examples.iter().map(lay).collect();
        self.maskers.batch(&laid, &examples.iter().collect::<Vec<_>>(), purpose)
    }

    fn sequences<'b>(&self, batch: &'b MlmBatch) -> &'b Sequences {
        &batch.sequences
    }

    fn weights(&self, batch: &MlmBatch) -> Vec<f64> {
        let (targets, tokens) = (batch.labels.len() as f64, batch.sequences.real_tokens() as f64);
        let compared = if self.config.positions == Positions::All { tokens } else { targets };
        let config = &self.config;
        let taught =
            [(config.divergence, compared), (config.squares, compared), (config.cosine, tokens)];
        let asked = taught
            .into_iter()
            .filter(|(coefficient, _)| *coefficient > 0.0 && self.teacher().is_some());
        std::iter::once(targets).chain(asked.map(|(_, weight)| weight)).collect()
    }

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> MlmModel {
        MlmModel::init(encoder, rng, device)
    }

    fn forward(
        &self,
        model: &MlmModel,
        batch: &MlmBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step {
        let (training, config) = (noise.is_some(), &self.config);
        let input = batch.sequences.input(device);
        let hidden = model.encoder.forward(&input, noise);
        let rows =
            |places: &[u32]| places.iter().map(|place| input.row(*place)).collect::<Vec<u32>>();
        let predicted = rows(batch.asked());
        let table = model.encoder.embeddings.tokens.val();
        let at_targets = gather(hidden.clone(), predicted.clone());
        let (mut term, tallies) =
            batch.loss(NAMES, &model.head, table.clone(), at_targets, training);
        term.coefficient = config.mlm;
        let mut step = Step::new(vec![term], tallies);
        let Some((teacher, teacher_head)) = self.teacher() else { return step };

        let teacher_input = batch.sequences.input(&frozen(device));
        let teacher_hidden = teacher.model.encoder.forward(&teacher_input, None);
        let real = rows(&batch.sequences.real_places());
        let compared = if config.positions == Positions::All { &real } else { &predicted };
        // A batch without a target has one place that counts nothing.
        let targets = !batch.labels.is_empty() || config.positions == Positions::All;
        let compared_count = if targets { compared.len() as f64 } else { 0.0 };
        let layer = |hidden: &Tensor<2>, head: &MlmHead, table: Tensor<2>| {
            head.output(gather(hidden.clone(), compared.clone()), table)
        };
        let measures = [
            (
                "distilbert/divergence",
                config.divergence,
                Measure::Divergence { temperature: config.temperature as f32 },
            ),
            ("distilbert/squares", config.squares, Measure::Squares),
        ];
        for (name, coefficient, measure) in
            measures.into_iter().filter(|(_, coefficient, _)| *coefficient > 0.0)
        {
            let learning = layer(&hidden, &model.head, table.clone());
            let taught =
                layer(&teacher_hidden, teacher_head, teacher.model.encoder.embeddings.tokens.val());
            let sum =
                vocabulary_distance(learning, taught, measure) * if targets { 1.0 } else { 0.0 };
            step.terms
                .push(Term { tally: Tally { name, sum, weight: compared_count }, coefficient });
        }
        if config.cosine > 0.0 {
            let taught = known(gather(teacher_hidden, real.clone()), device);
            let sum = cosine_distances(gather(hidden, real.clone()), taught).sum();
            let tally = Tally { name: "distilbert/cosine", sum, weight: real.len() as f64 };
            step.terms.push(Term { tally, coefficient: config.cosine });
        }
        step
    }

    fn predict<'m>(
        &self,
        model: &'m MlmModel,
        sequences: &Sequences,
        places: &[u32],
        device: &Device,
    ) -> Option<Predicted<'m>> {
        Some(predicted(&model.encoder, &model.head, sequences, places, device))
    }

    fn show(&self, batch: &MlmBatch, row: usize) -> Vec<Shown> {
        batch.show(row, &self.context.special_ids)
    }

    fn ancestors(&self, name: &str) -> Vec<String> {
        let own = name.to_owned();
        if self.config.start == Start::Random || self.layers.is_empty() {
            return vec![own];
        }
        let transform = name.starts_with("head.transform.") || name.starts_with("head.norm.");
        if transform && self.config.head == HeadStart::Output {
            return Vec::new();
        }
        for kind in ["attention", "feed_forward"] {
            let Some(part) = name.strip_prefix(&format!("encoder.stack.{kind}.")) else { continue };
            if let Some((layer, part)) = part.split_once('.')
                && let Some(from) =
                    layer.parse::<usize>().ok().and_then(|layer| self.layers.get(layer))
            {
                return vec![format!("encoder.stack.{kind}.{from}.{part}")];
            }
        }
        vec![own]
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &MlmBatch) -> f64 {
        let compared =
            if self.config.positions == Positions::All { batch.sequences.real_tokens() } else { 0 };
        let of = |encoder: &EncoderConfig| {
            encoder_flops(encoder, &batch.sequences)
                + head_flops(encoder, compared.max(batch.labels.len()))
        };
        // The teacher has no backward pass, which takes twice as much as a forward pass.
        of(encoder) + self.context.teacher.as_ref().map_or(0.0, |teacher| of(&teacher.config) / 3.0)
    }
}

/// Checks that the student can learn from the teacher.
fn fits(
    config: &DistilbertConfig,
    student: &EncoderConfig,
    teacher: &Teacher,
) -> Result<(), Error> {
    let there = &teacher.config;
    if teacher.model.head.is_none() {
        return Err(Error("name: the teacher has no masked-language-model head".to_owned()));
    }
    if student.vocabulary != there.vocabulary {
        let (ours, theirs) = (student.vocabulary, there.vocabulary);
        let message = format!(
            "name: the student has {ours} tokens and the teacher {theirs}; use the teacher's tokenizer"
        );
        return Err(Error(message));
    }
    if config.cosine > 0.0 && student.hidden != there.hidden {
        let (ours, theirs) = (student.hidden, there.hidden);
        let message = format!(
            "cosine: the student is {ours} wide and the teacher {theirs}; make them equal, or set it to 0"
        );
        return Err(Error(message));
    }
    if config.start == Start::Teacher && student.hidden != there.hidden {
        return Err(Error(
            "start = \"teacher\": student and teacher differ in width; write random".to_owned(),
        ));
    }
    let fitting = config.layers.len() == student.layers
        && config.layers.iter().all(|layer| *layer < there.layers);
    if !config.layers.is_empty() && !fitting {
        let (layers, count, most) = (&config.layers, student.layers, there.layers - 1);
        return Err(Error(format!(
            "layers = {layers:?}: must name {count} of the teacher's layers, 0 to {most}"
        )));
    }
    Ok(())
}
