//! TinyBERT as an objective.

use std::sync::Arc;

use burn::tensor::Device;
use checkpoint::Weights;
use hub::{Architecture, ExportedModel, Family, TrainedModel};
use mlm::{DocumentEdges, Laid, Maskers, Masking, MlmBatch};
use objective::{
    Context, Error, Example, Objective, Packing, Purpose, Shown, Step, Tally, Teacher, Term,
};
use rand_chacha::ChaCha8Rng;
use trunk::{Encoder, EncoderConfig, Linear, Noise, Sequences, encoder_flops};

use super::config::{Behaviour, Maps, StudentData, TinybertConfig};
use super::loss::Counted;
use super::model::TinybertModel;
use super::traces::Traces;
use crate::teaching::frozen;

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
    /// The context of this objective.
    #[cfg(test)]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Numbers of attention heads of the student and of the teacher.
    fn heads(&self) -> [usize; 2] {
        [self.context.encoder.heads, self.teacher.config.heads]
    }

    /// Whether the whole rectangle of the batch is computed, padding included.
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
            documents: Vec::new(),
        }
    }

    /// Runs student and teacher over a batch. The teacher drops out in the authors' code only.
    fn traces<'a>(
        &'a self,
        model: &'a TinybertModel,
        sequences: &'a Sequences,
        noise: Option<&mut Noise>,
        device: &'a Device,
    ) -> Traces<'a> {
        let input_on = |device: &Device| {
            if self.is_padded() { sequences.padded_input(device) } else { sequences.input(device) }
        };
        let (input, teacher_input) = (input_on(device), input_on(&frozen(device)));
        let mut teacher_noise = match self.config.behaviour {
            Behaviour::Clean => None,
            Behaviour::Authors => noise.as_deref().map(Noise::beside),
        };

        let student = model.encoder.trace(&input, noise);
        let teacher = self.teacher.model.encoder.trace(&teacher_input, teacher_noise.as_mut());

        let counted = Counted {
            sequences,
            rectangle: input.rows.len() > sequences.real_tokens(),
            behaviour: self.config.behaviour,
        };
        let (layers, heads) = (&self.layers, self.heads());
        Traces { model, layers, heads, counted, input, student, teacher, device }
    }

    /// The loss terms with a coefficient, in the order of [`Objective::target_counts`].
    fn terms(&self, traces: &Traces<'_>, batch: &MlmBatch) -> Vec<Term> {
        let TinybertConfig { attention, hidden, embedding, .. } = self.config;
        let mut counts = self.target_counts(batch).into_iter();
        let mut term = |name, coefficient, sum| {
            let count = counts.next().expect("one count a term");
            Term { tally: Tally { name, sum, count }, coefficient }
        };

        let mut terms = Vec::new();
        if attention > 0.0 {
            terms.push(term("tinybert/attention", attention, traces.attention()));
        }
        if hidden > 0.0 {
            terms.push(term("tinybert/hidden", hidden, traces.hidden_states()));
        }
        if embedding > 0.0 {
            terms.push(term("tinybert/embedding", embedding, traces.embeddings()));
        }
        terms
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
            let message = "a run of tinybert needs its teacher, whose insides it learns; \
                           it predicts no tokens";
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
            StudentData::Text => {
                Laid::passage(&example.passage, specials, DocumentEdges::default())
            }
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
        let is_evaluation = noise.is_none();
        let traces = self.traces(model, &batch.sequences, noise, device);

        let mut terms = self.terms(&traces, batch);
        let loss = terms[0].tally.sum.clone();
        terms[0].tally.sum = traces.with_every_parameter(loss, &self.config);

        let mut step = Step::new(terms, Vec::new());
        if is_evaluation {
            step.tallies.extend(traces.cosine());
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
