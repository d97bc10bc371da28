//! The encoder with two heads, and the objective over it.

use burn::module::Module;
use burn::tensor::Device;
use hub::{ExportedModel, Family, HubModel, TrainedModel};
use mlm::{
    Maskers, MlmLoss, NAMES, PairLabels, PairNames, Pairing, first_tokens, pair_loss, predicted,
};
use objective::{
    Context, Error, Example, HeldOutTask, MetricOf, Objective, Packing, Purpose, Shown, Step,
};
use rand_chacha::ChaCha8Rng;
use trunk::{
    Encoder, EncoderConfig, MlmHead, Noise, PairHead, Predicted, Sequences, encoder_flops,
    head_flops, indices, pair_flops, union,
};

use crate::batch::{SopBatch, collate};
use crate::config::SopConfig;
use crate::export;

/// Special tokens of a pair: one in front, one after each segment.
const SPECIAL_TOKENS: usize = 3;

/// The names of the loss over pairs and its metric.
const PAIR: PairNames = PairNames { loss: "sop/loss", accuracy: "sop/accuracy" };

/// An encoder with a masked-language-model head and a head over pairs.
#[derive(Module, Debug)]
pub struct SopModel {
    /// The encoder.
    pub encoder: Encoder,
    /// Predicts tokens.
    pub head: MlmHead,
    /// Classifies the pair. Without pair labels it stays as it was initialised, so that evaluating
    /// such a model on pairs gives chance.
    pub pair: PairHead,
}

/// Sentence-order or next-sentence prediction beside masked language modelling.
#[derive(Debug)]
pub struct Sop {
    context: Context,
    maskers: Maskers,
    pairing: Pairing,
    loss: MlmLoss,
}

impl Sop {
    fn has_labels(&self) -> bool {
        self.pairing.labels != PairLabels::None
    }
}

impl Objective for Sop {
    const NAME: &'static str = "sop";
    const ABOUT: &'static str =
        "sentence order (ALBERT) or next sentence (BERT) beside masked language modelling";
    const TASKS: &'static [HeldOutTask] = &[
        HeldOutTask {
            name: "sop",
            about: "Whether a model of `sop` tells segments in their order from swapped ones, \
                    whatever it was trained on",
            knobs: &[("labels", "sentence-order")],
            metric: "sop/accuracy",
            without_metric: "no passage of this text gives a pair: they hold one sentence each; \
                             raise --max-length",
            counts: MetricOf::PairsBothWays,
        },
        HeldOutTask {
            name: "nsp",
            about: "Whether a model of `sop` tells the next segment from one of another document, \
                    whatever it was trained on",
            knobs: &[("labels", "next-sentence")],
            metric: "sop/accuracy",
            without_metric: "no passage of this text gives a pair: they hold one sentence each, or \
                             the text is one document; raise --max-length or give another",
            counts: MetricOf::PairsBothWays,
        },
    ];

    type Config = SopConfig;
    type Batch = SopBatch;
    type Model = SopModel;

    fn new(config: SopConfig, context: &Context) -> Result<Self, Error> {
        if context.encoder.segments < 2 {
            let message = "labels: pairs need two segment kinds; write encoder.segments = 2";
            return Err(Error(message.to_owned()));
        }

        let maskers =
            Maskers::new(&config.masking, &config.evaluation, config.duplicates, context)?;
        let max_tokens = context.max_length.saturating_sub(SPECIAL_TOKENS);
        let pairing = Pairing { labels: config.labels, max_tokens, compat: config.compat };
        let loss = MlmLoss::new(NAMES, config.z_loss)?;
        Ok(Self { context: context.clone(), maskers, pairing, loss })
    }

    fn packing(&self) -> Packing {
        Packing { special_tokens: SPECIAL_TOKENS, overfill: self.pairing.compat }
    }

    fn partner_epoch(&self, epoch: u64) -> Option<u64> {
        let needed = self.pairing.labels == PairLabels::NextSentence || self.pairing.compat;
        needed.then(|| self.maskers.turn(epoch))
    }

    fn collate(&self, examples: &[Example], purpose: Purpose) -> SopBatch {
        collate(examples, purpose, self.pairing, &self.maskers, &self.context.specials)
    }

    fn sequences<'b>(&self, batch: &'b SopBatch) -> &'b Sequences {
        &batch.mlm.sequences
    }

    fn target_counts(&self, batch: &SopBatch) -> Vec<f64> {
        let mlm = batch.mlm.labels.len() as f64;
        if self.has_labels() { vec![mlm, batch.rows.len() as f64] } else { vec![mlm] }
    }

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> SopModel {
        let stack = Encoder::init(encoder, rng, device);
        let head = MlmHead::init(encoder, rng, device);
        let pair = PairHead::init(encoder, rng, device);
        SopModel {
            encoder: stack,
            head,
            pair: if self.has_labels() { pair } else { pair.no_grad() },
        }
    }

    fn forward(
        &self,
        model: &SopModel,
        batch: &SopBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step {
        let is_training = noise.is_some();
        let table = model.encoder.embeddings.tokens.val();
        let input = batch.mlm.sequences.input(device);
        let predicted = batch.mlm.predicted_positions();

        if !self.has_labels() {
            let hidden = model.encoder.forward_at(&input, predicted, noise);
            let predicted = Predicted::new(hidden, &model.head, table);
            let (term, tallies) = batch.mlm.loss(self.loss, predicted, is_training);
            return Step::new(vec![term], tallies);
        }

        let firsts = first_tokens(&batch.rows, batch.mlm.sequences.len);
        let positions = union(&[predicted, &firsts]);
        let hidden = model.encoder.forward_at(&input, &positions, noise);

        let words = kernels::gather(hidden.clone(), indices(&positions, predicted));
        let words = Predicted::new(words, &model.head, table);
        let (term, mut tallies) = batch.mlm.loss(self.loss, words, is_training);

        let firsts = kernels::gather(hidden, indices(&positions, &firsts));
        let (pair, more) = pair_loss(&model.pair, firsts, &batch.pair_labels, PAIR, is_training);
        tallies.extend(more);
        Step::new(vec![term, pair], tallies)
    }

    fn predict<'m>(
        &self,
        model: &'m SopModel,
        sequences: &Sequences,
        positions: &[u32],
        device: &Device,
    ) -> Option<Predicted<'m>> {
        Some(predicted(&model.encoder, &model.head, sequences, positions, device))
    }

    fn show(&self, batch: &SopBatch, row: usize) -> Vec<Shown> {
        batch.mlm.show(row, &self.context.special_ids)
    }

    fn caption(&self, batch: &SopBatch, row: usize) -> Option<String> {
        let answer = batch.rows.binary_search(&(row as u32)).ok().map(|i| batch.pair_labels[i]);
        let text = match (self.pairing.labels, answer) {
            (PairLabels::None, _) => return None,
            (_, None) => "no pair",
            (PairLabels::SentenceOrder, Some(0)) => "in order",
            (PairLabels::SentenceOrder, Some(_)) => "swapped",
            (PairLabels::NextSentence, Some(0)) => "the second segment follows",
            (PairLabels::NextSentence, Some(_)) => "the second segment is of another document",
        };
        Some(text.to_owned())
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &SopBatch) -> f64 {
        let pair = if self.has_labels() { pair_flops(encoder, batch.rows.len()) } else { 0.0 };
        encoder_flops(encoder, &batch.mlm.sequences)
            + head_flops(encoder, batch.mlm.labels.len())
            + pair
    }

    fn import(model: &HubModel) -> Option<SopConfig> {
        export::import(model)
    }

    fn export(
        config: &SopConfig,
        trained: TrainedModel<'_>,
        family: Option<Family>,
    ) -> Result<Vec<ExportedModel>, hub::Error> {
        export::export(config, trained, family)
    }
}
