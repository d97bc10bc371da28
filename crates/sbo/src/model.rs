//! The encoder with its heads, and the objective over it.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use hub::{Architecture, ExportedModel, Family, TrainedModel};
use kernels::{Targets, gather, vocabulary_loss, vocabulary_scores};
use mlm::{
    Maskers, MlmLoss, NAMES, PairLabels, PairNames, Pairing, first_tokens, pair_loss, predicted,
};
use objective::{
    Context, Error, Example, HeldOutTask, MetricOf, Objective, Packing, Purpose, Shown, Step,
    Tally, Term,
};
use rand_chacha::ChaCha8Rng;
use trunk::{
    Encoder, EncoderConfig, MlmHead, Noise, PairHead, Predicted, Sequences, encoder_flops,
    head_flops, indices, pair_flops, union,
};

use crate::batch::{Boundary, SboBatch, collate};
use crate::config::SboConfig;
use crate::head::{Offsets, SboHead};

/// The names of the loss over pairs and its metric.
const PAIR: PairNames = PairNames { loss: "nsp/loss", accuracy: "nsp/accuracy" };

/// Names of the metrics by offset in the span: accuracy, and that of always predicting the text's
/// most frequent token.
const BY_OFFSET: [[&str; 2]; 20] = [
    ["sbo/accuracy_01", "sbo/unigram_01"],
    ["sbo/accuracy_02", "sbo/unigram_02"],
    ["sbo/accuracy_03", "sbo/unigram_03"],
    ["sbo/accuracy_04", "sbo/unigram_04"],
    ["sbo/accuracy_05", "sbo/unigram_05"],
    ["sbo/accuracy_06", "sbo/unigram_06"],
    ["sbo/accuracy_07", "sbo/unigram_07"],
    ["sbo/accuracy_08", "sbo/unigram_08"],
    ["sbo/accuracy_09", "sbo/unigram_09"],
    ["sbo/accuracy_10", "sbo/unigram_10"],
    ["sbo/accuracy_11", "sbo/unigram_11"],
    ["sbo/accuracy_12", "sbo/unigram_12"],
    ["sbo/accuracy_13", "sbo/unigram_13"],
    ["sbo/accuracy_14", "sbo/unigram_14"],
    ["sbo/accuracy_15", "sbo/unigram_15"],
    ["sbo/accuracy_16", "sbo/unigram_16"],
    ["sbo/accuracy_17", "sbo/unigram_17"],
    ["sbo/accuracy_18", "sbo/unigram_18"],
    ["sbo/accuracy_19", "sbo/unigram_19"],
    ["sbo/accuracy_20", "sbo/unigram_20"],
];

/// An encoder with a masked-language-model head, a boundary head unless its weight is 0, and a
/// pair head where pairs have labels.
#[derive(Module, Debug)]
pub struct SboModel {
    /// The encoder.
    pub encoder: Encoder,
    /// Predicts tokens from their own hidden states.
    pub head: MlmHead,
    /// Predicts tokens from the boundary of their span.
    pub boundary: Option<SboHead>,
    /// Classifies the pair.
    pub pair: Option<PairHead>,
}

/// Span masking with the span boundary objective.
#[derive(Debug)]
pub struct Sbo {
    config: SboConfig,
    context: Context,
    maskers: Maskers,
    /// The most frequent token of the text.
    most_frequent: u32,
    loss: MlmLoss,
}

impl Sbo {
    fn pairing(&self) -> Option<Pairing> {
        let labels = self.config.sequences.labels()?;
        Some(Pairing {
            labels,
            max_tokens: self.context.max_length.saturating_sub(3),
            compat: self.config.compat,
        })
    }

    fn has_pair_labels(&self) -> bool {
        self.config.sequences.labels() == Some(PairLabels::NextSentence)
    }

    /// The number that the boundary term is divided by: its targets, and in training one more where
    /// fairseq adds it.
    fn boundary_count(&self, batch: &SboBatch) -> f64 {
        let added = self.config.compat && batch.purpose == Purpose::Training;
        (batch.boundary_targets() + usize::from(added)) as f64
    }

    /// The boundary term and, in an evaluation pass, its metrics.
    fn boundary_loss(
        &self,
        head: &SboHead,
        table: Tensor<2>,
        hidden: Tensor<2>,
        batch: &SboBatch,
        positions: &[u32],
        is_training: bool,
    ) -> (Term, Vec<Tally>) {
        let boundary = batch.boundary();
        let count = self.boundary_count(batch);
        let term = |sum| Term {
            tally: Tally { name: "sbo/loss", sum, count },
            coefficient: self.config.weight,
        };

        if boundary.labels.is_empty() {
            // One row that counts nothing gives every parameter a gradient.
            let nothing =
                Boundary { left: vec![0], right: vec![0], offsets: vec![0], labels: vec![0] };
            let targets = Targets { weights: Some(vec![0.0]), ..Targets::new(vec![0]) };
            return (term(vocabulary_loss(head.output(hidden, &nothing, table), targets)), vec![]);
        }

        let rows = Boundary {
            left: indices(positions, &boundary.left),
            right: indices(positions, &boundary.right),
            ..boundary.clone()
        };
        let layer = head.output(hidden, &rows, table);

        let mut tallies = Vec::new();
        if !is_training {
            let hits = vocabulary_scores(layer.clone(), &boundary.labels).hits;
            tallies = self.tallies(&hits, &boundary);
        }

        let targets = Targets::new(boundary.labels);
        (term(vocabulary_loss(layer, targets)), tallies)
    }

    /// Accuracy over all tokens and by offset.
    fn tallies(&self, hits: &Tensor<1>, boundary: &Boundary) -> Vec<Tally> {
        let device = hits.device();
        let upload = |values: Vec<f32>| {
            let n = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [n]), &device)
        };
        let one = |yes: bool| f32::from(u8::from(yes));

        let n = boundary.labels.len() as f64;
        let mut tallies = vec![Tally { name: "sbo/accuracy", sum: hits.clone().sum(), count: n }];
        for (offset, [accuracy, unigram]) in
            BY_OFFSET.into_iter().enumerate().take(self.config.max_offset)
        {
            let here: Vec<f32> =
                boundary.offsets.iter().map(|o| one(*o as usize == offset)).collect();
            let usual = |(label, here): (&u32, &f32)| one(*label == self.most_frequent) * here;
            let usual: Vec<f32> = boundary.labels.iter().zip(&here).map(usual).collect();

            let count = here.iter().map(|here| f64::from(*here)).sum();
            tallies.push(Tally { name: accuracy, sum: (hits.clone() * upload(here)).sum(), count });
            tallies.push(Tally { name: unigram, sum: upload(usual).sum(), count });
        }
        tallies
    }
}

/// Checks that the knobs fit together and to the run.
fn check(config: &SboConfig, context: &Context) -> Result<(), Error> {
    if !(config.weight >= 0.0 && config.weight.is_finite()) {
        return Err(Error(format!("weight = {}: must be at least 0", config.weight)));
    }
    if !(1..=BY_OFFSET.len()).contains(&config.max_offset) {
        let message = format!(
            "max_offset = {}: must be between 1 and {}",
            config.max_offset,
            BY_OFFSET.len()
        );
        return Err(Error(message));
    }

    if config.masking.repeat || config.evaluation.repeat {
        return Err(Error("masking.repeat: spans are drawn without replacement".to_owned()));
    }
    if config.offset_width == 0 {
        return Err(Error("offset_width = 0: must be at least 1".to_owned()));
    }
    if config.sequences.labels().is_some() && context.encoder.segments < 2 {
        let message = "sequences: pairs need two segment kinds; write encoder.segments = 2";
        return Err(Error(message.to_owned()));
    }
    Ok(())
}

/// The most frequent token of the training text that is not special.
fn most_frequent_token(context: &Context) -> u32 {
    let content = |id: &u32| context.special_ids.binary_search(id).is_err();
    let count = |id: &u32| context.token_counts.get(*id as usize).copied().unwrap_or(0);
    (0..context.vocabulary as u32).filter(content).max_by_key(count).unwrap_or(0)
}

impl Objective for Sbo {
    const NAME: &'static str = "sbo";
    const ABOUT: &'static str = "masked spans, predicted also from their boundaries (SpanBERT)";
    const TASKS: &'static [HeldOutTask] = &[HeldOutTask {
        name: "sbo",
        about: "Loss and accuracy of a model of `sbo` at span boundaries, by offset in the span",
        knobs: &[],
        metric: "sbo/accuracy",
        without_metric: "this model lacks a boundary loss, or no span of this text has a boundary",
        counts: MetricOf::Tokens,
    }];

    type Config = SboConfig;
    type Batch = SboBatch;
    type Model = SboModel;

    fn new(config: SboConfig, context: &Context) -> Result<Self, Error> {
        check(&config, context)?;
        let maskers = Maskers::new(&config.masking, &config.evaluation, 0, context)?;
        let most_frequent = most_frequent_token(context);
        let loss = MlmLoss::new(NAMES, config.z_loss)?;
        Ok(Self { context: context.clone(), maskers, most_frequent, loss, config })
    }

    fn packing(&self) -> Packing {
        let pairing = self.pairing();
        Packing {
            special_tokens: if pairing.is_some() { 3 } else { 2 },
            overfill: pairing.is_some_and(|pairing| pairing.compat),
        }
    }

    fn partner_epoch(&self, epoch: u64) -> Option<u64> {
        self.has_pair_labels().then_some(epoch)
    }

    fn collate(&self, examples: &[Example], purpose: Purpose) -> SboBatch {
        collate(
            examples,
            self.pairing(),
            purpose,
            &self.maskers,
            &self.context.specials,
            self.config.max_offset,
        )
    }

    fn sequences<'b>(&self, batch: &'b SboBatch) -> &'b Sequences {
        &batch.mlm.sequences
    }

    fn target_counts(&self, batch: &SboBatch) -> Vec<f64> {
        let mut counts = vec![batch.mlm.labels.len() as f64];
        if self.config.weight > 0.0 {
            counts.push(self.boundary_count(batch));
        }
        if self.has_pair_labels() {
            counts.push(batch.rows.len() as f64);
        }
        counts
    }

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> SboModel {
        let SboConfig { max_offset, offset_width, .. } = self.config;
        let offsets = Offsets { max_offset, offset_width };
        let stack = Encoder::init(encoder, rng, device);
        let head = MlmHead::init(encoder, rng, device);
        let boundary =
            (self.config.weight > 0.0).then(|| SboHead::init(encoder, offsets, rng, device));
        let pair = self.has_pair_labels().then(|| PairHead::init(encoder, rng, device));
        SboModel { encoder: stack, head, boundary, pair }
    }

    fn forward(
        &self,
        model: &SboModel,
        batch: &SboBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step {
        let is_training = noise.is_some();
        let table = model.encoder.embeddings.tokens.val();
        let (mut ends, mut firsts) = (Vec::new(), Vec::new());
        if model.boundary.is_some() {
            ends = batch.spans.iter().flat_map(|span| [span.left, span.right]).collect();
        }
        if model.pair.is_some() {
            firsts = first_tokens(&batch.rows, batch.mlm.sequences.len);
        }

        let predicted = batch.mlm.predicted_positions();
        let positions = union(&[predicted, &ends, &firsts]);
        let input = batch.mlm.sequences.input(device);
        let hidden = model.encoder.forward_at(&input, &positions, noise);

        let words = gather(hidden.clone(), indices(&positions, predicted));
        let words = Predicted::new(words, &model.head, table.clone());
        let (term, mut tallies) = batch.mlm.loss(self.loss, words, is_training);

        let mut terms = vec![term];
        let mut add = |(term, more): (Term, Vec<Tally>)| {
            terms.push(term);
            tallies.extend(more);
        };

        if let Some(head) = &model.boundary {
            add(self.boundary_loss(head, table, hidden.clone(), batch, &positions, is_training));
        }
        if let Some(head) = &model.pair {
            let first = gather(hidden, indices(&positions, &firsts));
            add(pair_loss(head, first, &batch.pair_labels, PAIR, is_training));
        }
        Step::new(terms, tallies)
    }

    fn predict<'m>(
        &self,
        model: &'m SboModel,
        sequences: &Sequences,
        positions: &[u32],
        device: &Device,
    ) -> Option<Predicted<'m>> {
        Some(predicted(&model.encoder, &model.head, sequences, positions, device))
    }

    fn show(&self, batch: &SboBatch, row: usize) -> Vec<Shown> {
        batch.mlm.show(row, &self.context.special_ids)
    }

    fn caption(&self, batch: &SboBatch, row: usize) -> Option<String> {
        let len = batch.mlm.sequences.len;
        let spans = batch.spans.iter().filter(|span| span.left as usize / len == row);
        let lengths: Vec<String> =
            spans.map(|span| (span.right - span.left - 1).to_string()).collect();
        Some(match lengths.as_slice() {
            [] => "no span with a boundary".to_owned(),
            [one] => format!("a span of {one} with a boundary"),
            several => {
                format!("{} spans with a boundary, of {} tokens", several.len(), several.join(", "))
            }
        })
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &SboBatch) -> f64 {
        let (hidden, width) = (encoder.hidden as f64, encoder.embedding_width() as f64);
        let inner = hidden * (2.0 * hidden + self.config.offset_width as f64) + hidden * width;
        let per_token = 2.0 * (inner + width * encoder.vocabulary as f64);

        let boundary = if self.config.weight > 0.0 {
            batch.boundary_targets() as f64 * per_token
        } else {
            0.0
        };
        let pair = if self.has_pair_labels() { pair_flops(encoder, batch.rows.len()) } else { 0.0 };

        encoder_flops(encoder, &batch.mlm.sequences)
            + head_flops(encoder, batch.mlm.labels.len())
            + boundary
            + pair
    }

    fn export(
        _config: &SboConfig,
        trained: TrainedModel<'_>,
        family: Option<Family>,
    ) -> Result<Vec<ExportedModel>, hub::Error> {
        Ok(vec![ExportedModel::only(trained.to_class(Architecture::MaskedLm, family)?)])
    }
}
