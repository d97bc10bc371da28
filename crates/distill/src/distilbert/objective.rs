//! DistilBERT as an objective.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use hub::{Architecture, ExportedModel, Family, TrainedModel};
use kernels::{Measure, gather, vocabulary_distance};
use mlm::{DocumentEdges, Laid, Maskers, MlmBatch, MlmModel, NAMES, predicted};
use objective::{
    Context, Error, Example, Objective, Packing, Purpose, Shown, Step, Tally, Teacher, Term,
};
use rand_chacha::ChaCha8Rng;
use trunk::{
    EncoderConfig, EncoderInput, MlmHead, Noise, Predicted, Sequences, encoder_flops, head_flops,
};

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
    /// The layer of the teacher that each layer of the student starts from.
    layers: Vec<usize>,
}

impl Distilbert {
    /// The teacher and its head; [`fits`] refuses a teacher without one.
    fn teacher(&self) -> Option<(&Arc<Teacher>, &MlmHead)> {
        let teacher = self.context.teacher.as_ref()?;
        Some((teacher, teacher.model.head.as_ref()?))
    }

    /// The loss terms that compare student and teacher.
    fn teacher_terms(
        &self,
        teacher: &Teacher,
        teacher_head: &MlmHead,
        model: &MlmModel,
        batch: &MlmBatch,
        Taught { input, hidden, predicted, device }: Taught<'_>,
    ) -> Vec<Term> {
        let config = &self.config;
        let teacher_input = batch.sequences.input(&frozen(device));
        let teacher_hidden = teacher.model.encoder.forward(&teacher_input, None);

        let real = rows(input, &batch.sequences.real_positions());
        let everywhere = config.positions == Positions::All;
        let compared = if everywhere { &real } else { &predicted };
        // A batch without a target has one row that counts nothing.
        let has_targets = everywhere || !batch.labels.is_empty();
        let count = if has_targets { compared.len() as f64 } else { 0.0 };

        let layer = |hidden: &Tensor<2>, head: &MlmHead, table: Tensor<2>| {
            head.output(gather(hidden.clone(), compared.clone()), table)
        };
        let divergence = Measure::Divergence { temperature: config.temperature as f32 };
        let measures = [
            ("distilbert/divergence", config.divergence, divergence),
            ("distilbert/squares", config.squares, Measure::Squares),
        ];
        let mut terms = Vec::new();
        for (name, coefficient, measure) in measures {
            if coefficient > 0.0 {
                let table = model.encoder.embeddings.tokens.val();
                let student = layer(&hidden, &model.head, table);
                let table = teacher.model.encoder.embeddings.tokens.val();
                let teacher = layer(&teacher_hidden, teacher_head, table);
                let counts = if has_targets { 1.0 } else { 0.0 };
                let sum = vocabulary_distance(student, teacher, measure) * counts;
                terms.push(Term { tally: Tally { name, sum, count }, coefficient });
            }
        }

        if config.cosine > 0.0 {
            let count = real.len() as f64;
            let taught = known(gather(teacher_hidden, real.clone()), device);
            let sum = cosine_distances(gather(hidden, real), taught).sum();
            let tally = Tally { name: "distilbert/cosine", sum, count };
            terms.push(Term { tally, coefficient: config.cosine });
        }
        terms
    }

    /// The teacher's parameter that the parameter `name` of a layer starts from; none where `name`
    /// belongs to no layer.
    fn layer_source(&self, name: &str) -> Option<String> {
        ["attention", "feed_forward"].into_iter().find_map(|kind| {
            let part = name.strip_prefix(&format!("encoder.stack.{kind}."))?;
            let (layer, part) = part.split_once('.')?;
            let source = self.layers.get(layer.parse::<usize>().ok()?)?;
            Some(format!("encoder.stack.{kind}.{source}.{part}"))
        })
    }
}

/// The student's side of the comparison with the teacher.
struct Taught<'a> {
    /// The student's input.
    input: &'a EncoderInput,
    /// The student's last hidden states, `[rows, hidden]`.
    hidden: Tensor<2>,
    /// The rows of the predicted positions.
    predicted: Vec<u32>,
    device: &'a Device,
}

/// The rows of flat `positions`.
fn rows(input: &EncoderInput, positions: &[u32]) -> Vec<u32> {
    positions.iter().map(|position| input.row(*position)).collect()
}

impl Objective for Distilbert {
    const NAME: &'static str = "distilbert";
    const ABOUT: &'static str =
        "distillation of predictions and hidden states (DistilBERT); needs a teacher";
    const NEEDS_TEACHER: bool = true;

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
            layers = if config.layers.is_empty() {
                spread(teacher.config.layers, student.layers)
            } else {
                config.layers.clone()
            };
        }
        Ok(Self { config, context: context.clone(), maskers, layers })
    }

    fn packing(&self) -> Packing {
        Packing { special_tokens: 2, overfill: false }
    }

    fn collate(&self, examples: &[Example], purpose: Purpose) -> MlmBatch {
        let lay = |example: &Example| {
            Laid::passage(&example.passage, &self.context.specials, DocumentEdges::default())
        };
        let laid: Vec<Laid> = examples.iter().map(lay).collect();
        self.maskers.batch(&laid, &examples.iter().collect::<Vec<_>>(), purpose)
    }

    fn sequences<'b>(&self, batch: &'b MlmBatch) -> &'b Sequences {
        &batch.sequences
    }

    fn target_counts(&self, batch: &MlmBatch) -> Vec<f64> {
        let (targets, tokens) = (batch.labels.len() as f64, batch.sequences.real_tokens() as f64);
        let compared = if self.config.positions == Positions::All { tokens } else { targets };

        let config = &self.config;
        let taught =
            [(config.divergence, compared), (config.squares, compared), (config.cosine, tokens)];
        let used = taught
            .into_iter()
            .filter(|(coefficient, _)| *coefficient > 0.0 && self.teacher().is_some());
        std::iter::once(targets).chain(used.map(|(_, count)| count)).collect()
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
        let is_training = noise.is_some();
        let input = batch.sequences.input(device);
        let hidden = model.encoder.forward(&input, noise);

        let predicted = rows(&input, batch.predicted_positions());
        let table = model.encoder.embeddings.tokens.val();
        let at_targets = gather(hidden.clone(), predicted.clone());
        let at_targets = Predicted::new(at_targets, &model.head, table);
        let (mut term, tallies) = batch.loss(NAMES, at_targets, is_training);
        term.coefficient = self.config.mlm;

        let mut step = Step::new(vec![term], tallies);
        if let Some((teacher, head)) = self.teacher() {
            let taught = Taught { input: &input, hidden, predicted, device };
            step.terms.extend(self.teacher_terms(teacher, head, model, batch, taught));
        }
        step
    }

    fn predict<'m>(
        &self,
        model: &'m MlmModel,
        sequences: &Sequences,
        positions: &[u32],
        device: &Device,
    ) -> Option<Predicted<'m>> {
        Some(predicted(&model.encoder, &model.head, sequences, positions, device))
    }

    fn show(&self, batch: &MlmBatch, row: usize) -> Vec<Shown> {
        batch.show(row, &self.context.special_ids)
    }

    fn init_sources(&self, name: &str) -> Vec<String> {
        if self.config.start == Start::Random || self.layers.is_empty() {
            return vec![name.to_owned()];
        }

        let is_transform = name.starts_with("head.transform.") || name.starts_with("head.norm.");
        if is_transform && self.config.head == HeadStart::Output {
            return Vec::new();
        }
        vec![self.layer_source(name).unwrap_or_else(|| name.to_owned())]
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &MlmBatch) -> f64 {
        let compared =
            if self.config.positions == Positions::All { batch.sequences.real_tokens() } else { 0 };
        let forward_pass = |encoder: &EncoderConfig| {
            encoder_flops(encoder, &batch.sequences)
                + head_flops(encoder, compared.max(batch.labels.len()))
        };

        // The teacher has no backward pass, which takes twice as much as a forward pass.
        let of_teacher = |teacher: &Arc<Teacher>| forward_pass(&teacher.config) / 3.0;
        forward_pass(encoder) + self.context.teacher.as_ref().map_or(0.0, of_teacher)
    }

    fn export(
        _config: &DistilbertConfig,
        trained: TrainedModel<'_>,
        family: Option<Family>,
    ) -> Result<Vec<ExportedModel>, hub::Error> {
        Ok(vec![ExportedModel::only(trained.to_class(Architecture::MaskedLm, family)?)])
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
        return Err(Error(format!(
            "name: the student has {ours} tokens and the teacher {theirs}; \
             use the teacher's tokenizer"
        )));
    }

    if config.cosine > 0.0 && student.hidden != there.hidden {
        let (ours, theirs) = (student.hidden, there.hidden);
        return Err(Error(format!(
            "cosine: the student is {ours} wide and the teacher {theirs}; \
             make them equal, or set it to 0"
        )));
    }
    if config.start == Start::Teacher && student.hidden != there.hidden {
        return Err(Error(
            "start = \"teacher\": student and teacher differ in width; write random".to_owned(),
        ));
    }

    let fitting = config.layers.len() == student.layers
        && config.layers.iter().all(|layer| *layer < there.layers);
    if !config.layers.is_empty() && !fitting {
        let (layers, count, last) = (&config.layers, student.layers, there.layers - 1);
        return Err(Error(format!(
            "layers = {layers:?}: must name {count} of the teacher's layers, 0 to {last}"
        )));
    }
    Ok(())
}
