//! The objective.

use burn::tensor::{Device, Tensor};
use hub::{Architecture, ExportedModel, Family, TrainedModel};
use kernels::gather;
use mlm::{DocumentEdges, Laid, Maskers, MetricNames, MlmLoss, MlmModel};
use objective::{Context, Error, Example, Objective, Packing, Purpose, Shown, Step, Tally, Term};
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderConfig, Noise, Predicted, Sequences, encoder_flops, head_flops};

use crate::batch::{MntpBatch, Reading, collate};
use crate::config::MntpConfig;

const MASKED: MetricNames = MetricNames {
    loss: "mntp/loss",
    accuracy: "mntp/accuracy",
    masked_accuracy: "mntp/masked_accuracy",
    masked_loss: "mntp/masked_loss",
};

const CAUSAL: MetricNames = MetricNames {
    loss: "mntp/causal_loss",
    accuracy: "mntp/causal_accuracy",
    masked_accuracy: "mntp/causal_masked_accuracy",
    masked_loss: "mntp/causal_masked_loss",
};

/// Masked next-token prediction.
#[derive(Debug)]
pub struct Mntp {
    context: Context,
    config: MntpConfig,
    maskers: Maskers,
    loss: MlmLoss,
}

impl Mntp {
    /// The loss and the metrics of one kind of sequence, given the hidden states `[n, hidden]` that
    /// predict all targets.
    fn term(
        &self,
        model: &MlmModel,
        batch: &MntpBatch,
        reading: Reading,
        hidden: Tensor<2>,
        is_training: bool,
    ) -> (Term, Vec<Tally>) {
        let (part, indices) = batch.part(reading);
        let (names, coefficient) = match reading {
            Reading::Masked => (MASKED, 1.0 - batch.causal_share),
            Reading::Causal => (CAUSAL, batch.causal_share),
        };

        let table = model.encoder.embeddings.tokens.val();
        let hidden = gather(hidden, indices);
        let loss = MlmLoss { names, ..self.loss };
        let predicted = Predicted::new(hidden, &model.head, table);
        let (term, mut tallies) = part.loss(loss, predicted, is_training);
        if reading == Reading::Causal {
            // Nothing is masked there.
            tallies.truncate(1);
        }
        (Term { coefficient, ..term }, tallies)
    }
}

impl Objective for Mntp {
    const NAME: &'static str = "mntp";
    const ABOUT: &'static str = "masked next-token prediction (GPT-BERT): predict masked tokens from \
                                 the position before, and all tokens of some sequences causally";

    type Config = MntpConfig;
    type Batch = MntpBatch;
    type Model = MlmModel;

    fn new(config: MntpConfig, context: &Context) -> Result<Self, Error> {
        config.validate()?;
        let loss = MlmLoss::new(MASKED, config.z_loss)?;
        let maskers =
            Maskers::new(&config.masking, &config.evaluation, config.duplicates, context)?;
        Ok(Self { context: context.clone(), config, maskers, loss })
    }

    fn packing(&self) -> Packing {
        Packing { special_tokens: 2, overfill: false }
    }

    fn collate(&self, examples: &[Example], purpose: Purpose) -> MntpBatch {
        let specials = &self.context.specials;
        let edges = DocumentEdges {
            separated: self.config.separate_documents,
            isolated: self.config.isolate_documents,
        };
        let lay = |example: &Example| Laid::passage(&example.passage, specials, edges);
        let laid = examples.iter().map(lay).collect();
        collate(examples, laid, purpose, &self.config, &self.maskers, specials.pad)
    }

    fn sequences<'b>(&self, batch: &'b MntpBatch) -> &'b Sequences {
        &batch.mlm.sequences
    }

    fn target_counts(&self, batch: &MntpBatch) -> Vec<f64> {
        batch.counts().map(|count| count as f64).to_vec()
    }

    fn init(&self, encoder: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> MlmModel {
        MlmModel::init(encoder, rng, device)
    }

    fn forward(
        &self,
        model: &MlmModel,
        batch: &MntpBatch,
        noise: Option<&mut Noise>,
        device: &Device,
    ) -> Step {
        let is_training = noise.is_some();
        let input = batch.mlm.sequences.input(device);
        let hidden = model.encoder.forward_at(&input, &batch.asked(), noise);

        let (mut terms, mut tallies) = (Vec::new(), Vec::new());
        for reading in [Reading::Masked, Reading::Causal] {
            let (term, more) = self.term(model, batch, reading, hidden.clone(), is_training);
            terms.push(term);
            tallies.extend(more);
        }
        Step::new(terms, tallies)
    }

    /// The position before each predicts it; nothing predicts the first of a sequence but itself.
    fn predict<'m>(
        &self,
        model: &'m MlmModel,
        sequences: &Sequences,
        positions: &[u32],
        device: &Device,
    ) -> Option<Predicted<'m>> {
        let is_first = |flat: u32| (flat as usize).is_multiple_of(sequences.len);
        let before = |flat: &u32| if is_first(*flat) { *flat } else { flat - 1 };
        let asked: Vec<u32> = positions.iter().map(before).collect();
        Some(mlm::predicted(&model.encoder, &model.head, sequences, &asked, device))
    }

    fn show(&self, batch: &MntpBatch, row: usize) -> Vec<Shown> {
        batch.mlm.show(row, &self.context.special_ids)
    }

    fn caption(&self, batch: &MntpBatch, row: usize) -> Option<String> {
        let reading = if batch.mlm.sequences.causal[row] { "causal" } else { "masked" };
        Some(reading.to_owned())
    }

    fn flops(&self, encoder: &EncoderConfig, batch: &MntpBatch) -> f64 {
        encoder_flops(encoder, &batch.mlm.sequences) + head_flops(encoder, batch.mlm.labels.len())
    }

    /// The bare encoder: transformers' masked language models predict a token where it stands.
    fn export(
        _config: &MntpConfig,
        trained: TrainedModel<'_>,
        family: Option<Family>,
    ) -> Result<Vec<ExportedModel>, hub::Error> {
        Ok(vec![ExportedModel::only(trained.to_class(Architecture::Encoder, family)?)])
    }
}
