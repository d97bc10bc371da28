//! Fine-tuned models in Hugging Face's format.

use hub::{Architecture, Error, Family, HubModel, TrainedModel};

use crate::config::{FinetuneConfig, HeadStyle};
use crate::kind::TaskKind;

impl HeadStyle {
    /// The head over the first token in transformers' classes of the model's family.
    pub fn of_hub(model: &HubModel) -> Self {
        match model.config.family {
            // The weight is TinyBERT's map to the teacher's width.
            Family::Bert if model.weights.contains_key("fit.weight") => Self::Tinybert,
            Family::Bert | Family::Albert => Self::Bert,
            Family::Roberta => Self::Roberta,
            Family::Electra => Self::Electra,
            Family::Distilbert => Self::Distilbert,
        }
    }

    /// The only family whose classes have the head; none where several have it, or none has.
    fn family(self) -> Option<Family> {
        match self {
            Self::Roberta => Some(Family::Roberta),
            Self::Electra => Some(Family::Electra),
            Self::Distilbert => Some(Family::Distilbert),
            Self::Bert | Self::Tinybert | Self::ElectraAuthors => None,
        }
    }
}

/// The configuration of a fine-tuned class; none for other classes.
pub fn import(model: &HubModel) -> Option<FinetuneConfig> {
    let kind = match model.architecture {
        Architecture::Sequence if model.config.regression => TaskKind::Regression,
        Architecture::Sequence => TaskKind::Classification,
        Architecture::Token => TaskKind::Tagging,
        Architecture::Question => TaskKind::Question,
        Architecture::Encoder
        | Architecture::MaskedLm
        | Architecture::PreTraining
        | Architecture::Discriminator => return None,
    };

    let has_labels = matches!(kind, TaskKind::Classification | TaskKind::Tagging);
    // In question answering, transformers has dropout before the output in DistilBERT only.
    let without_dropout = kind == TaskKind::Question && model.config.family != Family::Distilbert;
    Some(FinetuneConfig {
        kind,
        labels: if has_labels { model.config.labels.clone() } else { Vec::new() },
        head: HeadStyle::of_hub(model),
        dropout: if without_dropout { 0.0 } else { model.config.head_dropout },
        ..FinetuneConfig::default()
    })
}

/// A fine-tuned model as the class of its task.
pub fn export(
    config: &FinetuneConfig,
    trained: TrainedModel<'_>,
    family: Option<Family>,
) -> Result<HubModel, Error> {
    let of_sequence = config.kind.of_sequence();
    if of_sequence && config.head == HeadStyle::ElectraAuthors {
        let message = "objective.head = \"electra-authors\" has no counterpart in transformers; \
                       fine-tune with --head electra";
        return Err(Error::Data(message.to_owned()));
    }

    let architecture = match config.kind {
        TaskKind::Classification | TaskKind::Regression => Architecture::Sequence,
        TaskKind::Tagging => Architecture::Token,
        TaskKind::Question => Architecture::Question,
    };
    let family = family.or_else(|| config.head.family().filter(|_| of_sequence));
    let mut model = trained.to_class(architecture, family)?;
    model.config.labels = match config.kind {
        TaskKind::Regression => vec!["score".to_owned()],
        _ => config.labels.clone(),
    };
    model.config.regression = config.kind == TaskKind::Regression;
    model.config.head_dropout = config.dropout;

    if of_sequence && HeadStyle::of_hub(&model) != config.head {
        return Err(Error::Data(format!(
            "a {} has another head than objective.head = \"{}\"",
            model.class(),
            config.head.name()
        )));
    }
    Ok(model)
}
