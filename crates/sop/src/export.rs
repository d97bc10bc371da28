//! Models with a head over pairs in Hugging Face's format.

use hub::{Architecture, Error, ExportedModel, Family, HubModel, TrainedModel};
use mlm::PairLabels;

use crate::config::SopConfig;

/// ALBERT's classes are about the order of two segments, BERT's about the next one.
pub fn import(model: &HubModel) -> Option<SopConfig> {
    let labels = match model.config.family {
        Family::Albert => PairLabels::SentenceOrder,
        _ => PairLabels::NextSentence,
    };
    (model.architecture == Architecture::PreTraining)
        .then(|| SopConfig { labels, ..SopConfig::default() })
}

/// The class with both heads, or the one without the head over pairs where it was not trained.
pub fn export(
    config: &SopConfig,
    trained: TrainedModel<'_>,
    family: Option<Family>,
) -> Result<Vec<ExportedModel>, Error> {
    let architecture = match config.labels {
        PairLabels::None => Architecture::MaskedLm,
        PairLabels::SentenceOrder | PairLabels::NextSentence => Architecture::PreTraining,
    };

    let is_bert = family.unwrap_or_else(|| trained.family()) == Family::Bert;
    if config.labels == PairLabels::SentenceOrder && is_bert {
        tracing::warn!(
            "a BertForPreTraining predicts whether the second segment is the next one; here class \
             1 of its `seq_relationship` means swapped segments"
        );
    }

    Ok(vec![ExportedModel::only(trained.to_class(architecture, family)?)])
}
