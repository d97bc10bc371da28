//! The encoder with two heads, and the objective over it.

use burn::module::Module;
use burn::tensor::Device;
use mlm::{
    Maskers, NAMES, PairLabels, Pairing, encoder_flops, first_tokens, head_flops, pair_flops,
    pair_loss, predicted,
};
use objective::{Context, Error, Example, Objective, Purpose, Shown, Step};
use rand_chacha::ChaCha8Rng;
use trunk::{
    Encoder, EncoderConfig, MlmHead, Noise, PairHead, Predicted, Sequences, indices, union,
};

use crate::batch::{SopBatch, collate};
use crate::config::SopConfig;

/// Special tokens of a pair: one in front, one after each segment.
const ROOM: usize = 3;

/// An encoder with a masked-language-model head and a head over pairs.
#[derive(Module, Debug)]
pub struct SopModel {
    /// The encoder.
    pub encoder: Encoder,
    /// Predicts tokens.
    pub head: MlmHead,
    /// Answers questions about the pair. Where none is asked it stays as it was initialised, so
    /// that evaluating such a model on pairs gives chance.
    pub pair: PairHead,
}

/// Sentence-order or next-sentence prediction beside masked language modelling.
#[derive(Debug)]
pub struct Sop {
    context: Context,
    maskers: Maskers,
    pairing: Pairing,
}

impl Sop {
    fn asks(&self) -> bool {
        self.pairing.labels != PairLabels::None
    }
}

impl Objective for Sop {
    const NAME: &'static str = "sop";
    const ABOUT: &'static str =
        "sentence order (ALBERT) or next sentence (BERT) beside masked language modelling";

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
        let max_tokens = context.max_length.saturating_sub(ROOM);
        let pairing = Pairing { labels: config.labels, max_tokens, compat: config.compat };
        Ok(Self { context: context.clone(), maskers, pairing })
    }

    fn room(&self) -> usize {
        ROOM
    }

    fn overfills(&self) -> bool {
        self.pairing.compat
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

    fn weights(&self, batch: &SopBatch) -> Vec<f64> {
        let mlm = batch.mlm.labels.len() as f64;
        if self.asks() { vec![mlm, batch.rows.len() as f64] } else { vec![mlm] }
    }

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> SopModel {
        let (stack, head) =
            (Encoder::init(encoder, rng, device), MlmHead::init(encoder, rng, device));
        let pair = PairHead::init(encoder, rng, device);
        SopModel { encoder: stack, head, pair: if self.asks() { pair } else { pair.no_grad() } }
    }

    fn forward(
        &self,
        model: &SopModel,
        batch: &SopBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step {
        let training = noise.is_some();
        let table = model.encoder.embeddings.tokens.val();
        let input = batch.mlm.sequences.input(device);
        if !self.asks() {
            let hidden = model.encoder.forward_at(&input, batch.mlm.asked(), noise);
            let (term, tallies) = batch.mlm.loss(NAMES, &model.head, table, hidden, training);
            return Step::new(vec![term], tallies);
        }
        let firsts = first_tokens(&batch.rows, batch.mlm.sequences.len);
        let places = union(&[batch.mlm.asked(), &firsts]);
        let hidden = model.encoder.forward_at(&input, &places, noise);
        let words = kernels::gather(hidden.clone(), indices(&places, batch.mlm.asked()));
        let (term, mut tallies) = batch.mlm.loss(NAMES, &model.head, table, words, training);
        let firsts = kernels::gather(hidden, indices(&places, &firsts));
        let (pair, more) =
            pair_loss(&model.pair, firsts, &batch.answers, ["sop/loss", "sop/accuracy"], training);
        tallies.extend(more);
        Step::new(vec![term, pair], tallies)
    }

    fn predict<'m>(
        &self,
        model: &'m SopModel,
        sequences: &Sequences,
        places: &[u32],
        device: &Device,
    ) -> Option<Predicted<'m>> {
        Some(predicted(&model.encoder, &model.head, sequences, places, device))
    }

    fn show(&self, batch: &SopBatch, row: usize) -> Vec<Shown> {
        batch.mlm.show(row, &self.context.special_ids)
    }

    fn remark(&self, batch: &SopBatch, row: usize) -> Option<String> {
        let answer = batch.rows.binary_search(&(row as u32)).ok().map(|i| batch.answers[i]);
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
        let pair = if self.asks() { pair_flops(encoder, batch.rows.len()) } else { 0.0 };
        encoder_flops(encoder, &batch.mlm.sequences)
            + head_flops(encoder, batch.mlm.labels.len())
            + pair
    }
}
