//! Replace MLM: the original tokens at the chosen positions, from the corrupted sequences.

use ::objective::Step;
use mlm::NAMES;
use trunk::{MlmHead, Predicted};

use crate::batch::{Corrupted, RtdBatch};
use crate::model::RtdModel;
use crate::objective::Rtd;
use crate::pass::Pass;

impl Rtd {
    /// The loss of masked language modelling, with samples in the place of mask tokens.
    pub(crate) fn replace_mlm(
        &self,
        model: &RtdModel,
        head: &MlmHead,
        batch: &RtdBatch,
        corrupted: &Corrupted,
        Pass { noise, device }: Pass<'_>,
    ) -> Step {
        let is_training = noise.is_some();
        let input = corrupted.sequences.input(device);
        let hidden = model.encoder.forward_at(&input, batch.mlm.predicted_positions(), noise);
        let table = model.encoder.embeddings.tokens.val();

        let predicted = Predicted::new(hidden, head, table);
        let (mut term, tallies) = batch.mlm.loss(NAMES, predicted, is_training);
        term.coefficient = self.config().encoder_weight();
        Step::new(vec![term], tallies)
    }
}
