//! TinyBERT as an objective.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use checkpoint::Weights;
use hub::{Architecture, ExportedModel, Family, TrainedModel};
use kernels::gather;
use mlm::{Laid, Maskers, Masking, MlmBatch};
use objective::{
    Context, Error, Example, Objective, Packing, Purpose, Shown, Step, Tally, Teacher, Term,
};
use rand_chacha::ChaCha8Rng;
use trunk::{Encoder, EncoderConfig, Linear, Noise, Sequences, encoder_flops};

use super::config::{Behaviour, Maps, StudentData, TinybertConfig};
use super::loss::Counted;
use crate::cosine::cosine_distances;
use crate::teaching::{frozen, known};

/// A student and its maps to the teacher's width.
#[derive(Module, Debug)]
pub struct TinybertModel {
    /// The encoder.
    pub encoder: Encoder,
    /// `[hidden, teacher's hidden]`, of hidden states.
    pub fit: Linear,
    /// The same of embeddings, where they have a map of their own.
    pub fit_embeddings: Option<Linear>,
}

/// TinyBERT.
#[derive(Debug)]
pub struct Tinybert {
    config: TinybertConfig,
    context: Context,
    teacher: Arc<Teacher>,
    /// The teacher's layer that each of the student's learns, counted from 1.
    layers: Vec<usize>,
    maskers: Maskers,
}

impl Tinybert {
    /// What it was made with.
    #[cfg(test)]
    pub fn context(&self) -> &Context {
        &self.context
    }

    fn heads(&self) -> [usize; 2] {
        [self.context.encoder.heads, self.teacher.config.heads]
    }

    /// Whether the whole rectangle of the batch is computed, padding too.
    fn is_padded(&self) -> bool {
        let [student, teacher] = self.heads();
        self.config.behaviour == Behaviour::Authors || student != teacher
    }

    /// The sequence of a task's example.
    fn whole(&self, example: &Example) -> Laid {
        let passage = &example.passage;
        let n = passage.tokens.len();
        let both = self.context.encoder.segments.min(self.teacher.config.segments) > 1;
        let second = passage.sentence_starts.get(1).map_or(n, |start| *start as usize);
        let segments = (0..n).map(|i| u32::from(both && i >= second)).collect();
        Laid {
            tokens: passage.tokens.clone(),
            word_starts: passage.word_starts.clone(),
            segments,
            spans: vec![0; n],
        }
    }
}

impl Objective for Tinybert {
    const NAME: &'static str = "tinybert";
    const ABOUT: &'static str =
        "distillation of attention, hidden states and embeddings (TinyBERT); needs a teacher";
    const NEEDS_TEACHER: bool = true;

    type Config = TinybertConfig;
    type Batch = MlmBatch;
    type Model = TinybertModel;

    fn new(config: TinybertConfig, context: &Context) -> Result<Self, Error> {
        config.validate()?;
        let teacher = context.teacher.clone().ok_or_else(|| {
            let message = "a run of tinybert needs its teacher, whose insides it learns; it predicts no tokens";
            Error(format!("name: {message}"))
        })?;
        let layers =
            config.mapping.of(&config.layers, teacher.config.layers, context.encoder.layers)?;
        let (ours, theirs) = (context.encoder.heads, teacher.config.heads);
        if config.attention > 0.0 && !ours.max(theirs).is_multiple_of(ours.min(theirs)) {
            let message = format!(
                "the student has {ours} heads and the teacher {theirs}; one must divide the other"
            );
            return Err(Error(format!("attention: {message}, or set it to 0")));
        }
        // The authors ask for no masks, and their code masks at least one token.
        let masking = Masking { rate: 1e-6, ..Masking::default() };
        let maskers = Maskers::new(&masking, &masking, 0, context)?;
        Ok(Self { config, context: context.clone(), teacher, layers, maskers })
    }

    fn packing(&self) -> Packing {
        Packing { special_tokens: 2, overfill: false }
    }

    fn collate(&self, examples: &[Example], purpose: Purpose) -> MlmBatch {
        let specials = &self.context.specials;
        let lay = |example: &Example| match self.config.source {
            StudentData::Text => Laid::passage(&example.passage, specials, false),
            StudentData::Task => self.whole(example),
        };
        let laid: Vec<Laid> = examples.iter().map(lay).collect();
        if self.config.behaviour == Behaviour::Authors && self.config.source == StudentData::Text {
            return self.maskers.batch(&laid, &examples.iter().collect::<Vec<_>>(), purpose);
        }
        let plain = |laid: &Laid| mlm::Masked { tokens: laid.tokens.clone(), targets: Vec::new() };
        MlmBatch::of(&laid, &laid.iter().map(plain).collect::<Vec<_>>(), specials.pad)
    }

    fn sequences<'b>(&self, batch: &'b MlmBatch) -> &'b Sequences {
        &batch.sequences
    }

    fn target_counts(&self, batch: &MlmBatch) -> Vec<f64> {
        let counted = Counted {
            sequences: &batch.sequences,
            rectangle: false,
            behaviour: self.config.behaviour,
        };
        let [student, teacher] = self.heads();
        let states = counted.tokens() * self.teacher.config.hidden as f64;
        let scores = counted.pairs() * student.min(teacher) as f64;
        let config = &self.config;
        let terms =
            [(config.attention, scores), (config.hidden, states), (config.embedding, states)];
        terms
            .into_iter()
            .filter(|(coefficient, _)| *coefficient > 0.0)
            .map(|(_, count)| count)
            .collect()
    }

    fn init(
        &self,
        encoder: &EncoderConfig,
        rng: &mut ChaCha8Rng,
        device: &Device,
    ) -> TinybertModel {
        let student = Encoder::init(encoder, rng, device);
        let (width, std) = (self.teacher.config.hidden, encoder.initializer_range);
        let mut fit = || Linear::init(encoder.hidden, width, std, rng, device);
        let (fit, own) = (fit(), (self.config.maps == Maps::Two).then(fit));
        TinybertModel { encoder: student, fit, fit_embeddings: own }
    }

    fn forward(
        &self,
        model: &TinybertModel,
        batch: &MlmBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step {
        let (config, sequences) = (&self.config, &batch.sequences);
        let is_evaluation = noise.is_none();
        let input = |device: &Device| {
            if self.is_padded() { sequences.padded_input(device) } else { sequences.input(device) }
        };
        let mut teachers_noise = match config.behaviour {
            Behaviour::Clean => None,
            Behaviour::Authors => noise.as_deref().map(Noise::beside),
        };
        let (inputs, theirs) = (input(device), input(&frozen(device)));
        let student = model.encoder.trace(&inputs, noise);
        let teacher = self.teacher.model.encoder.trace(&theirs, teachers_noise.as_mut());

        let rectangle = inputs.rows.len() > sequences.real_tokens();
        let counted = Counted { sequences, rectangle, behaviour: config.behaviour };
        let counts = self.target_counts(batch);
        let mut terms = Vec::new();
        let mut term = |name, coefficient: f64, sum: &dyn Fn() -> Tensor<1>| {
            if coefficient > 0.0 {
                let tally = Tally { name, sum: sum(), count: counts[terms.len()] };
                terms.push(Term { tally, coefficient });
            }
        };
        let sum = |parts: Vec<Tensor<1>>| {
            parts.into_iter().reduce(|a, b| a + b).expect("a student has layers")
        };

        let embeddings = model.fit_embeddings.as_ref().unwrap_or(&model.fit);
        term("tinybert/attention", config.attention, &|| {
            let of_layer = |(ours, theirs): (&Tensor<1>, &usize)| {
                let theirs = known(teacher.scores[theirs - 1].clone(), device);
                counted.scores(ours.clone(), theirs, self.heads())
            };
            sum(student.scores.iter().zip(&self.layers).map(of_layer).collect())
        });
        term("tinybert/hidden", config.hidden, &|| {
            let of_layer = |(ours, theirs): (&Tensor<2>, &usize)| {
                let theirs = known(teacher.states[*theirs].clone(), device);
                counted.states(model.fit.forward(ours.clone()), theirs)
            };
            sum(student.states[1..].iter().zip(&self.layers).map(of_layer).collect())
        });
        term("tinybert/embedding", config.embedding, &|| {
            let theirs = known(teacher.states[0].clone(), device);
            counted.states(embeddings.forward(student.states[0].clone()), theirs)
        });

        // A parameter that no term depends on has a gradient of zero.
        let nothing = |map: &Linear| (map.weight.val().sum() + map.bias.val().sum()) * 0.0;
        if config.hidden == 0.0 {
            let last = student.states.last().expect("a student has layers").clone().sum() * 0.0;
            terms[0].tally.sum = terms[0].tally.sum.clone() + last + nothing(&model.fit);
        }
        if config.embedding == 0.0 {
            terms[0].tally.sum = terms[0].tally.sum.clone() + nothing(embeddings);
        }

        let mut step = Step::new(terms, Vec::new());
        if is_evaluation
            && let (Some(ours), Some(layer)) = (student.states.last(), self.layers.last())
        {
            let positions = sequences.real_positions();
            let real: Vec<u32> =
                positions.into_iter().map(|position| inputs.row(position)).collect();
            let theirs = gather(teacher.states[*layer].clone(), real.clone());
            let ours = model.fit.forward(gather(ours.clone(), real.clone()));
            let sum = cosine_distances(ours, known(theirs, device)).sum();
            let count = real.len() as f64;
            step.tallies.push(Tally { name: "tinybert/cosine", sum, count });
        }
        step
    }

    fn show(&self, batch: &MlmBatch, row: usize) -> Vec<Shown> {
        batch.show(row, &self.context.special_ids)
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &MlmBatch) -> f64 {
        let tokens = batch.sequences.real_tokens() as f64;
        let maps = 2.0
            * (encoder.hidden * self.teacher.config.hidden * (encoder.layers + 1)) as f64
            * tokens;
        // The teacher has no backward pass, which takes twice as much as a forward pass.
        encoder_flops(encoder, &batch.sequences)
            + maps
            + encoder_flops(&self.teacher.config, &batch.sequences) / 3.0
    }

    /// The encoder, without the maps to the teacher's width, which only training needs.
    fn export(
        _config: &TinybertConfig,
        trained: TrainedModel<'_>,
        family: Option<Family>,
    ) -> Result<Vec<ExportedModel>, hub::Error> {
        let parts = trained.weights.iter().filter(|(name, _)| name.starts_with("encoder."));
        let weights: Weights = parts.map(|(name, weight)| (name.clone(), weight.clone())).collect();
        let encoder = TrainedModel { weights: &weights, ..trained };
        Ok(vec![ExportedModel::only(encoder.to_class(Architecture::Encoder, family)?)])
    }
}
