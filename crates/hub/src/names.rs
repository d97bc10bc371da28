//! Names of parameters in Hugging Face files and here.

use trunk::{EncoderConfig, Sharing};

use crate::family::{Architecture, Family};

/// A parameter in both worlds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name here.
    pub ours: String,
    /// The name there.
    pub theirs: String,
    /// Whether the file holds the transpose.
    pub transposed: bool,
}

/// The parameters of an encoder of `family`; `prefix` is the family's, or empty in a file of a bare
/// encoder.
pub fn encoder(family: Family, encoder: &EncoderConfig, prefix: &str) -> Vec<Name> {
    let mut names = Names::default();
    let embeddings = format!("{prefix}embeddings");
    for (ours, theirs) in
        [("tokens", "word"), ("places.positions", "position"), ("places.segments", "token_type")]
    {
        if ours != "places.segments" || encoder.segments > 0 {
            names.plain(
                &format!("encoder.embeddings.{ours}"),
                &format!("{embeddings}.{theirs}_embeddings.weight"),
            );
        }
    }
    names.norm("encoder.embeddings.places.norm", &format!("{embeddings}.LayerNorm"));
    if encoder.projects() {
        let theirs = match family {
            Family::Albert => "encoder.embedding_hidden_mapping_in",
            _ => "embeddings_project",
        };
        names.linear("encoder.stack.projection", &format!("{prefix}{theirs}"));
    }
    let sublayers = match family {
        Family::Albert => &ALBERT,
        Family::Distilbert => &DISTILBERT,
        Family::Bert | Family::Roberta | Family::Electra => &BERT,
    };
    for layer in 0..encoder.sharing.distinct(encoder.layers).0 {
        let theirs = match (family, encoder.sharing) {
            (Family::Albert, Sharing::Groups { inner, .. }) => {
                format!(
                    "{prefix}encoder.albert_layer_groups.{}.albert_layers.{}",
                    layer / inner,
                    layer % inner
                )
            }
            (Family::Distilbert, _) => format!("{prefix}transformer.layer.{layer}"),
            _ => format!("{prefix}encoder.layer.{layer}"),
        };
        let attention = format!("encoder.stack.attention.{layer}");
        let network = format!("encoder.stack.feed_forward.{layer}");
        let [query, key, value, output, norm, inner, outer, last] = sublayers;
        for (ours, part) in [("query", query), ("key", key), ("value", value), ("output", output)] {
            names.linear(&format!("{attention}.{ours}"), &format!("{theirs}.{part}"));
        }
        names.norm(&format!("{attention}.norm"), &format!("{theirs}.{norm}"));
        names.linear(&format!("{network}.inner"), &format!("{theirs}.{inner}"));
        names.linear(&format!("{network}.outer"), &format!("{theirs}.{outer}"));
        names.norm(&format!("{network}.norm"), &format!("{theirs}.{last}"));
    }
    names.0
}

/// Query, key, value, output, norm, inner, outer, norm.
type Sublayers = [&'static str; 8];

const BERT: Sublayers = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
];

const ALBERT: Sublayers = [
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.dense",
    "attention.LayerNorm",
    "ffn",
    "ffn_output",
    "full_layer_layer_norm",
];

const DISTILBERT: Sublayers = [
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
];

/// The parameters of the heads of `architecture`.
pub fn heads(family: Family, architecture: Architecture) -> Vec<Name> {
    let mut names = Names::default();
    match architecture {
        Architecture::Encoder => {}
        Architecture::MaskedLm => names.masked_lm(family),
        Architecture::PreTraining => {
            names.masked_lm(family);
            names.pooler("pair.pooler", family, &family.prefix());
            let theirs = if family == Family::Albert {
                "sop_classifier.classifier"
            } else {
                "cls.seq_relationship"
            };
            names.linear("pair.classifier", theirs);
        }
        Architecture::Discriminator => {
            names.linear("discriminator.dense", "discriminator_predictions.dense");
            names.linear("discriminator.output", "discriminator_predictions.dense_prediction");
        }
        Architecture::Sequence => {
            match family {
                Family::Bert | Family::Albert => {
                    names.pooler("task.dense", family, &family.prefix())
                }
                Family::Roberta | Family::Electra => names.linear("task.dense", "classifier.dense"),
                Family::Distilbert => names.linear("task.dense", "pre_classifier"),
            }
            let nested = matches!(family, Family::Roberta | Family::Electra);
            names.linear("task.output", if nested { "classifier.out_proj" } else { "classifier" });
        }
        Architecture::Token => names.linear("task.output", "classifier"),
        Architecture::Question => names.linear("task.output", "qa_outputs"),
    }
    names.0
}

/// What a file may have besides: a pooler (`prefix` as in [`encoder`]), which is a bare encoder's
/// own and which files of other classes hold by chance, and TinyBERT's map to the teacher's width.
pub fn extras(family: Family, architecture: Architecture, prefix: &str) -> Vec<Name> {
    let mut names = Names::default();
    let pools = matches!(family, Family::Bert | Family::Albert | Family::Roberta);
    if pools && !matches!(architecture, Architecture::PreTraining | Architecture::Sequence) {
        names.pooler("pair.pooler", family, prefix);
    }
    if family == Family::Bert {
        names.linear("fit", "fit_dense");
    }
    names.0
}

/// Whether a tensor is the matrix of an output layer, which repeats the token table where the two
/// are tied.
pub fn is_tied(name: &str) -> bool {
    [".decoder.weight", "vocab_projector.weight", "generator_lm_head.weight"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Whether a tensor repeats another (a tied one) or holds no parameter.
pub fn is_redundant(name: &str) -> bool {
    let others = [".decoder.bias", "embeddings.position_ids", "embeddings.token_type_ids"];
    is_tied(name) || others.iter().any(|end| name.ends_with(end))
}

#[derive(Default)]
struct Names(Vec<Name>);

impl Names {
    fn plain(&mut self, ours: &str, theirs: &str) {
        self.0.push(Name { ours: ours.to_owned(), theirs: theirs.to_owned(), transposed: false });
    }

    fn linear(&mut self, ours: &str, theirs: &str) {
        self.0.push(Name {
            ours: format!("{ours}.weight"),
            theirs: format!("{theirs}.weight"),
            transposed: true,
        });
        self.plain(&format!("{ours}.bias"), &format!("{theirs}.bias"));
    }

    fn norm(&mut self, ours: &str, theirs: &str) {
        self.plain(&format!("{ours}.gamma"), &format!("{theirs}.weight"));
        self.plain(&format!("{ours}.beta"), &format!("{theirs}.bias"));
    }

    fn pooler(&mut self, ours: &str, family: Family, prefix: &str) {
        let theirs = if family == Family::Albert { "pooler" } else { "pooler.dense" };
        self.linear(ours, &format!("{prefix}{theirs}"));
    }

    fn masked_lm(&mut self, family: Family) {
        let (dense, norm, bias) = match family {
            Family::Bert => (
                "cls.predictions.transform.dense",
                "cls.predictions.transform.LayerNorm",
                "cls.predictions.bias",
            ),
            Family::Roberta => ("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"),
            Family::Albert => ("predictions.dense", "predictions.LayerNorm", "predictions.bias"),
            Family::Electra => (
                "generator_predictions.dense",
                "generator_predictions.LayerNorm",
                "generator_lm_head.bias",
            ),
            Family::Distilbert => ("vocab_transform", "vocab_layer_norm", "vocab_projector.bias"),
        };
        self.linear("head.transform", dense);
        self.norm("head.norm", norm);
        self.plain("head.bias", bias);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alberts_inner_groups_have_two_numbers() {
        let sharing = Sharing::Groups { groups: 2, inner: 2 };
        let config = EncoderConfig { layers: 4, sharing, ..EncoderConfig::default() };
        let names = encoder(Family::Albert, &config, "albert.");
        let third = names
            .iter()
            .find(|name| name.ours == "encoder.stack.attention.2.query.weight")
            .expect("there");
        assert_eq!(
            third.theirs,
            "albert.encoder.albert_layer_groups.1.albert_layers.0.attention.query.weight"
        );
        assert!(third.transposed);
    }

    #[test]
    fn distilbert_has_no_segments() {
        let config = EncoderConfig { segments: 0, ..EncoderConfig::default() };
        let names = encoder(Family::Distilbert, &config, "distilbert.");
        assert!(names.iter().all(|name| !name.theirs.contains("token_type")));
        assert!(
            names.iter().any(|name| name.theirs == "distilbert.transformer.layer.1.ffn.lin2.bias")
        );
    }
}
