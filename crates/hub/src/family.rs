//! The model families and classes of transformers that this project knows.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A model family by its `model_type`. SpanBERT and TinyBERT have BERT's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// BERT (Devlin et al. 2019).
    Bert,
    /// RoBERTa (Liu et al. 2019).
    Roberta,
    /// ALBERT (Lan et al. 2020).
    Albert,
    /// ELECTRA (Clark et al. 2020).
    Electra,
    /// DistilBERT (Sanh et al. 2019).
    Distilbert,
    /// ModernBERT (Warner et al. 2024), Ettin (Weller et al. 2025).
    Modernbert,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 6] = [
        Self::Bert,
        Self::Roberta,
        Self::Albert,
        Self::Electra,
        Self::Distilbert,
        Self::Modernbert,
    ];

    /// The family called `name`.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    /// Its `model_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::Albert => "albert",
            Self::Electra => "electra",
            Self::Distilbert => "distilbert",
            Self::Modernbert => "modernbert",
        }
    }

    /// Prefix of the names of encoder parameters in a model with heads.
    pub fn prefix(self) -> String {
        match self {
            Self::Modernbert => "model.".to_owned(),
            _ => format!("{self}."),
        }
    }

    /// The token table's name without the prefix.
    pub fn table(self) -> &'static str {
        match self {
            Self::Modernbert => "embeddings.tok_embeddings.weight",
            _ => "embeddings.word_embeddings.weight",
        }
    }

    /// Prefix of the names of the classes.
    fn class_prefix(self) -> &'static str {
        match self {
            Self::Bert => "Bert",
            Self::Roberta => "Roberta",
            Self::Albert => "Albert",
            Self::Electra => "Electra",
            Self::Distilbert => "DistilBert",
            Self::Modernbert => "ModernBert",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which heads a model has on its encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// No head, except perhaps a pooler.
    Encoder,
    /// Masked language modelling; ELECTRA's generator.
    MaskedLm,
    /// Masked language modelling and a question about the pair of segments.
    PreTraining,
    /// ELECTRA's discriminator.
    Discriminator,
    /// A class or a score of a sentence or a pair.
    Sequence,
    /// A class of every token.
    Token,
    /// Start and end of the answer in a context.
    Question,
}

impl Architecture {
    /// All architectures.
    pub const ALL: [Self; 7] = [
        Self::Encoder,
        Self::MaskedLm,
        Self::PreTraining,
        Self::Discriminator,
        Self::Sequence,
        Self::Token,
        Self::Question,
    ];

    /// Whether transformers has such a class for `family`.
    pub fn is_of(self, family: Family) -> bool {
        match self {
            Self::PreTraining => matches!(family, Family::Bert | Family::Albert),
            Self::Discriminator => family == Family::Electra,
            _ => true,
        }
    }

    /// The name of the class in transformers.
    pub fn class(self, family: Family) -> String {
        let suffix = match self {
            Self::Encoder => "Model",
            Self::MaskedLm => "ForMaskedLM",
            Self::PreTraining | Self::Discriminator => "ForPreTraining",
            Self::Sequence => "ForSequenceClassification",
            Self::Token => "ForTokenClassification",
            Self::Question => "ForQuestionAnswering",
        };
        format!("{}{suffix}", family.class_prefix())
    }

    /// The classes of `family`.
    pub fn classes(family: Family) -> Vec<String> {
        Self::ALL.iter().filter(|it| it.is_of(family)).map(|it| it.class(family)).collect()
    }

    /// The architecture of the class named `class` of `family`. TinyBERT's own classes are BERT's.
    pub fn of_class(class: &str, family: Family) -> Option<Self> {
        let class = class.strip_prefix("Tiny").unwrap_or(class);
        Self::ALL.into_iter().find(|it| it.is_of(family) && it.class(family) == class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_by_their_names() {
        assert_eq!(
            Architecture::of_class("ElectraForPreTraining", Family::Electra),
            Some(Architecture::Discriminator)
        );
        assert_eq!(
            Architecture::of_class("AlbertForPreTraining", Family::Albert),
            Some(Architecture::PreTraining)
        );
        assert_eq!(Architecture::of_class("RobertaForPreTraining", Family::Roberta), None);

        let tiny = Architecture::of_class("TinyBertForSequenceClassification", Family::Bert);
        assert_eq!(tiny, Some(Architecture::Sequence));
        assert_eq!(
            Architecture::of_class("DistilBertModel", Family::Distilbert),
            Some(Architecture::Encoder)
        );
        assert_eq!(Family::find("distilbert"), Some(Family::Distilbert));
    }
}
