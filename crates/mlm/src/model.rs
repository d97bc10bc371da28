//! Encoder and head, and the objective over them.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use hub::{Architecture, ExportedModel, Family, HubModel, TrainedModel};
use objective::{
    Context, Error, Example, Objective, Packing, Purpose, Shown, Step, TokenWeighting,
};
use rand_chacha::ChaCha8Rng;
use trunk::{
    Encoder, EncoderConfig, MlmHead, Noise, Predicted, Sequences, encoder_flops, head_flops,
};

use crate::batch::{Maskers, MlmBatch};
use crate::config::MlmConfig;
use crate::layout::{DocumentEdges, Laid};
use crate::loss::{MlmLoss, NAMES, predicted};

/// An encoder with a masked-language-model head whose output layer is the token table.
#[derive(Module, Debug)]
pub struct MlmModel {
    /// The encoder.
    pub encoder: Encoder,
    /// The head.
    pub head: MlmHead,
}

impl MlmModel {
    /// New weights from `rng`.
    pub fn init(config: &EncoderConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        Self {
            encoder: Encoder::init(config, rng, device),
            head: MlmHead::init(config, rng, device),
        }
    }

    /// Logits `[n, vocabulary]` at the flat `positions` (row * len + position, ascending) of
    /// `sequences`, without dropout.
    pub fn logits(&self, sequences: &Sequences, positions: &[u32], device: &Device) -> Tensor<2> {
        let hidden = self.encoder.forward_at(&sequences.input(device), positions, None);
        self.head.logits(hidden, self.encoder.embeddings.tokens.val())
    }
}

/// Masked language modelling.
#[derive(Debug)]
pub struct Mlm {
    context: Context,
    maskers: Maskers,
    weighting: Option<TokenWeighting>,
    edges: DocumentEdges,
    loss: MlmLoss,
}

impl Objective for Mlm {
    const NAME: &'static str = "mlm";
    const ABOUT: &'static str =
        "masked language modelling (BERT, RoBERTa): predict tokens that were masked";

    type Config = MlmConfig;
    type Batch = MlmBatch;
    type Model = MlmModel;

    fn new(config: MlmConfig, context: &Context) -> Result<Self, Error> {
        let maskers =
            Maskers::adapting(&config.masking, &config.evaluation, config.duplicates, context)?;
        Ok(Self {
            context: context.clone(),
            weighting: config.masking.token_weighting(),
            maskers,
            edges: DocumentEdges {
                separated: config.separate_documents,
                isolated: config.isolate_documents,
            },
            loss: MlmLoss::new(NAMES, config.z_loss)?,
        })
    }

    fn packing(&self) -> Packing {
        Packing { special_tokens: 2, overfill: false }
    }

    fn collate(&self, examples: &[Example], purpose: Purpose) -> MlmBatch {
        let lay =
            |example: &Example| Laid::passage(&example.passage, &self.context.specials, self.edges);
        let laid: Vec<Laid> = examples.iter().map(lay).collect();

        let drawn: Vec<Example> =
            examples.iter().map(|example| self.maskers.drawn(example)).collect();
        self.maskers.batch(&laid, &drawn.iter().collect::<Vec<_>>(), purpose)
    }

    fn sequences<'b>(&self, batch: &'b MlmBatch) -> &'b Sequences {
        &batch.sequences
    }

    fn target_counts(&self, batch: &MlmBatch) -> Vec<f64> {
        vec![batch.labels.len() as f64]
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
        let hidden = model.encoder.forward_at(&input, batch.predicted_positions(), noise);
        let table = model.encoder.embeddings.tokens.val();

        let predicted = Predicted::new(hidden, &model.head, table);
        if is_training && self.weighting.is_some() {
            let (term, outcomes) = batch.loss_and_outcomes(self.loss, predicted);
            return Step { outcomes: Some(outcomes), ..Step::new(vec![term], Vec::new()) };
        }
        let (term, tallies) = batch.loss(self.loss, predicted, is_training);
        Step::new(vec![term], tallies)
    }

    fn token_weighting(&self) -> Option<TokenWeighting> {
        self.weighting
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

    fn flops(&self, encoder: &EncoderConfig, batch: &MlmBatch) -> f64 {
        encoder_flops(encoder, &batch.sequences) + head_flops(encoder, batch.labels.len())
    }

    fn import(model: &HubModel) -> Option<MlmConfig> {
        matches!(model.architecture, Architecture::MaskedLm | Architecture::Encoder)
            .then(MlmConfig::default)
    }

    fn export(
        _config: &MlmConfig,
        trained: TrainedModel<'_>,
        family: Option<Family>,
    ) -> Result<Vec<ExportedModel>, hub::Error> {
        Ok(vec![ExportedModel::only(trained.to_class(Architecture::MaskedLm, family)?)])
    }
}
