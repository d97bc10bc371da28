//! Names of parameters in Hugging Face files and here.

use trunk::{EncoderConfig, Sharing};

use crate::family::{Architecture, Family};

/// The name of a parameter here and in a Hugging Face file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Name in this project.
    pub ours: String,
    /// Name in the file.
    pub theirs: String,
    /// Whether the file holds the transpose.
    pub transposed: bool,
}

/// The parameters of an encoder of `family`; `prefix` is the family's, or empty in a file of a bare
/// encoder.
pub fn encoder(family: Family, encoder: &EncoderConfig, prefix: &str) -> Vec<Name> {
    let mut names = Names::default();
    names.embeddings(encoder, &format!("{prefix}embeddings"));
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
                let (group, layer) = (layer / inner, layer % inner);
                format!("{prefix}encoder.albert_layer_groups.{group}.albert_layers.{layer}")
            }
            (Family::Distilbert, _) => format!("{prefix}transformer.layer.{layer}"),
            _ => format!("{prefix}encoder.layer.{layer}"),
        };
        names.layer(layer, &theirs, sublayers);
    }
    names.0
}

/// Names of the parts of a layer in a Hugging Face file.
struct Sublayers {
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attention_output: &'static str,
    attention_norm: &'static str,
    inner: &'static str,
    outer: &'static str,
    feed_forward_norm: &'static str,
}

const BERT: Sublayers = Sublayers {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    inner: "intermediate.dense",
    outer: "output.dense",
    feed_forward_norm: "output.LayerNorm",
};

const ALBERT: Sublayers = Sublayers {
    query: "attention.query",
    key: "attention.key",
    value: "attention.value",
    attention_output: "attention.dense",
    attention_norm: "attention.LayerNorm",
    inner: "ffn",
    outer: "ffn_output",
    feed_forward_norm: "full_layer_layer_norm",
};

const DISTILBERT: Sublayers = Sublayers {
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    inner: "ffn.lin1",
    outer: "ffn.lin2",
    feed_forward_norm: "output_layer_norm",
};

/// The parameters of the heads of `architecture`.
pub fn heads(family: Family, architecture: Architecture) -> Vec<Name> {
    let mut names = Names::default();
    match architecture {
        Architecture::Encoder => {}
        Architecture::MaskedLm => names.masked_lm(family),
        Architecture::PreTraining => {
            names.masked_lm(family);
            names.pooler("pair.pooler", family, &family.prefix());

            let theirs = match family {
                Family::Albert => "sop_classifier.classifier",
                _ => "cls.seq_relationship",
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

/// Further parameters that a file may have: a pooler (`prefix` as in [`encoder`]), which belongs to
/// a bare encoder and is left over in some files of other classes, and TinyBERT's projection to the
/// width of its teacher.
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

/// Whether a tensor is the matrix of an output layer, which repeats the token table if the two are
/// tied.
pub fn is_tied(name: &str) -> bool {
    [".decoder.weight", "vocab_projector.weight", "generator_lm_head.weight"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Whether a tensor repeats another one or holds no parameter.
pub fn is_redundant(name: &str) -> bool {
    let others = [".decoder.bias", "embeddings.position_ids", "embeddings.token_type_ids"];
    is_tied(name) || others.iter().any(|end| name.ends_with(end))
}

/// Collects names.
#[derive(Default)]
struct Names(Vec<Name>);

impl Names {
    fn embeddings(&mut self, encoder: &EncoderConfig, theirs: &str) {
        let ours = "encoder.embeddings";
        self.plain(&format!("{ours}.tokens"), &format!("{theirs}.word_embeddings.weight"));
        self.plain(
            &format!("{ours}.places.positions"),
            &format!("{theirs}.position_embeddings.weight"),
        );

        if encoder.segments > 0 {
            self.plain(
                &format!("{ours}.places.segments"),
                &format!("{theirs}.token_type_embeddings.weight"),
            );
        }
        self.norm(&format!("{ours}.places.norm"), &format!("{theirs}.LayerNorm"));
    }

    /// The parameters of layer number `layer`, which is called `theirs` in the file.
    fn layer(&mut self, layer: usize, theirs: &str, parts: &Sublayers) {
        let ours = format!("encoder.stack.attention.{layer}");
        self.linear(&format!("{ours}.query"), &format!("{theirs}.{}", parts.query));
        self.linear(&format!("{ours}.key"), &format!("{theirs}.{}", parts.key));
        self.linear(&format!("{ours}.value"), &format!("{theirs}.{}", parts.value));
        self.linear(&format!("{ours}.output"), &format!("{theirs}.{}", parts.attention_output));
        self.norm(&format!("{ours}.norm"), &format!("{theirs}.{}", parts.attention_norm));

        let ours = format!("encoder.stack.feed_forward.{layer}");
        self.linear(&format!("{ours}.inner"), &format!("{theirs}.{}", parts.inner));
        self.linear(&format!("{ours}.outer"), &format!("{theirs}.{}", parts.outer));
        self.norm(&format!("{ours}.norm"), &format!("{theirs}.{}", parts.feed_forward_norm));
    }

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
