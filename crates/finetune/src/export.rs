//! Fine-tuned models in Hugging Face's format.

use hub::{Architecture, Error, Family, HubModel, TrainedModel};

use crate::config::{FinetuneConfig, HeadStyle, Pooling};
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
            Family::Modernbert => Self::Modernbert,
        }
    }

    /// The only family whose classes have the head; none where several have it, or none has.
    fn family(self) -> Option<Family> {
        match self {
            Self::Roberta => Some(Family::Roberta),
            Self::Electra => Some(Family::Electra),
            Self::Distilbert => Some(Family::Distilbert),
            Self::Modernbert => Some(Family::Modernbert),
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
    // In question answering, transformers has dropout before the output in these families only.
    let has_dropout = matches!(model.config.family, Family::Distilbert | Family::Modernbert);
    let without_dropout = kind == TaskKind::Question && !has_dropout;
    Some(FinetuneConfig {
        kind,
        labels: if has_labels { model.config.labels.clone() } else { Vec::new() },
        head: HeadStyle::of_hub(model),
        pooling: if model.config.mean_pooling { Pooling::Mean } else { Pooling::Cls },
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
    // A head over all tokens is the same in every family but one.
    let has_own_head = of_sequence || config.head == HeadStyle::Modernbert;
    let family = family.or_else(|| config.head.family().filter(|_| has_own_head));
    let mut model = trained.to_class(architecture, family)?;
    model.config.labels = match config.kind {
        TaskKind::Regression => vec!["score".to_owned()],
        _ => config.labels.clone(),
    };
    model.config.regression = config.kind == TaskKind::Regression;
    model.config.head_dropout = config.dropout;
    model.config.mean_pooling = config.pooling == Pooling::Mean;

    if of_sequence && config.pooling == Pooling::Mean && model.config.family != Family::Modernbert {
        let class = model.class();
        let message = format!("a {class} looks at the first token; objective.pooling is \"mean\"");
        return Err(Error::Data(message));
    }
    let is_of_class = HeadStyle::of_hub(&model) == config.head;
    let is_modern = model.config.family == Family::Modernbert;
    if (of_sequence || is_modern) && !is_of_class {
        return Err(Error::Data(format!(
            "a {} has another head than objective.head = \"{}\"",
            model.class(),
            config.head.name()
        )));
    }
    Ok(model)
}
