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
    /// Where the file's tensor holds several parameters one below the other: which of how many.
    pub part: Option<(usize, usize)>,
}

impl Name {
    /// The shape of the tensor in the file for a shape here.
    pub fn shape_in_file(&self, ours: &[usize]) -> Vec<usize> {
        let mut shape = ours.to_vec();
        if self.transposed {
            shape.reverse();
        }
        if let (Some((_, count)), Some(rows)) = (self.part, shape.first_mut()) {
            *rows *= count;
        }
        shape
    }
}

/// The parameters of an encoder of `family`; `prefix` is the family's, or empty in a file of a bare
/// encoder.
pub fn encoder(family: Family, encoder: &EncoderConfig, prefix: &str) -> Vec<Name> {
    let mut names = Names::of(encoder);
    if family == Family::Modernbert {
        names.modernbert(encoder, prefix);
        return names.list;
    }

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
        _ => &BERT,
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
    names.list
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

/// The parameters of the heads of `architecture` over `encoder`.
pub fn heads(family: Family, architecture: Architecture, encoder: &EncoderConfig) -> Vec<Name> {
    let mut names = Names::of(encoder);
    let is_task = matches!(
        architecture,
        Architecture::Sequence | Architecture::Token | Architecture::Question
    );
    if family == Family::Modernbert && is_task {
        names.linear("task.dense", "head.dense");
        names.norm("task.norm", "head.norm");
        names.biased("task.output", "classifier");
        return names.list;
    }

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
                Family::Distilbert => names.linear("task.dense", "pre_classifier"),
                _ => names.linear("task.dense", "classifier.dense"),
            }

            let nested = matches!(family, Family::Roberta | Family::Electra);
            names.linear("task.output", if nested { "classifier.out_proj" } else { "classifier" });
        }
        Architecture::Token => names.linear("task.output", "classifier"),
        Architecture::Question => names.linear("task.output", "qa_outputs"),
    }
    names.list
}

/// Further parameters that a file may have: a pooler (`prefix` as in [`encoder`]), which belongs to
/// a bare encoder and is left over in some files of other classes, and TinyBERT's projection to the
/// width of its teacher.
pub fn extras(family: Family, architecture: Architecture, prefix: &str) -> Vec<Name> {
    let mut names = Names::of(&EncoderConfig::default());
    let pools = matches!(family, Family::Bert | Family::Albert | Family::Roberta);
    if pools && !matches!(architecture, Architecture::PreTraining | Architecture::Sequence) {
        names.pooler("pair.pooler", family, prefix);
    }

    if family == Family::Bert {
        names.linear("fit", "fit_dense");
    }
    names.list
}

/// Whether a tensor is the matrix of an output layer, which repeats the token table if the two are
/// tied.
pub fn is_tied(name: &str) -> bool {
    let tied = [".decoder.weight", "vocab_projector.weight", "generator_lm_head.weight"];
    name == "decoder.weight" || tied.iter().any(|end| name.ends_with(end))
}

/// The bias over the vocabulary under its name, and under that of the output layer, which shares it
/// and is the only one in some files.
pub fn vocabulary_bias(family: Family) -> Option<[&'static str; 2]> {
    match family {
        Family::Bert => Some(["cls.predictions.bias", "cls.predictions.decoder.bias"]),
        Family::Roberta => Some(["lm_head.bias", "lm_head.decoder.bias"]),
        Family::Albert => Some(["predictions.bias", "predictions.decoder.bias"]),
        Family::Electra | Family::Distilbert | Family::Modernbert => None,
    }
}

/// Whether a tensor repeats another one or holds no parameter.
pub fn is_redundant(name: &str) -> bool {
    let others = [".decoder.bias", "embeddings.position_ids", "embeddings.token_type_ids"];
    is_tied(name) || others.iter().any(|end| name.ends_with(end))
}

/// Collects names.
struct Names {
    list: Vec<Name>,
    /// Whether linear maps have a bias.
    bias: bool,
    /// Whether norms have a bias.
    norm_bias: bool,
}

impl Names {
    fn of(encoder: &EncoderConfig) -> Self {
        Self { list: Vec::new(), bias: encoder.bias, norm_bias: encoder.norm_bias }
    }

    /// The encoder of ModernBERT, which keeps queries, keys and values in one tensor, and both maps
    /// of a gated network.
    fn modernbert(&mut self, encoder: &EncoderConfig, prefix: &str) {
        let table = format!("{prefix}{}", Family::Modernbert.table());
        self.plain("encoder.embeddings.tokens", &table);
        self.norm("encoder.embeddings.places.norm", &format!("{prefix}embeddings.norm"));

        for layer in 0..encoder.layers {
            let (ours, theirs) =
                (format!("encoder.stack.attention.{layer}"), format!("{prefix}layers.{layer}"));
            let maps = ["query", "key", "value"].map(|map| format!("{ours}.{map}"));
            self.stacked(&maps, &format!("{theirs}.attn.Wqkv"));
            self.linear(&format!("{ours}.output"), &format!("{theirs}.attn.Wo"));
            if layer > 0 {
                self.norm(&format!("{ours}.norm"), &format!("{theirs}.attn_norm"));
            }

            let ours = format!("encoder.stack.feed_forward.{layer}");
            let maps = ["inner", "gate"].map(|map| format!("{ours}.{map}"));
            self.stacked(&maps, &format!("{theirs}.mlp.Wi"));
            self.linear(&format!("{ours}.outer"), &format!("{theirs}.mlp.Wo"));
            self.norm(&format!("{ours}.norm"), &format!("{theirs}.mlp_norm"));
        }
        self.norm("encoder.stack.final_norm", &format!("{prefix}final_norm"));
    }

    /// Maps whose weights stand one below the other in the file, and so do their biases.
    fn stacked(&mut self, ours: &[String], theirs: &str) {
        for (kind, transposed) in [("weight", true), ("bias", false)] {
            if kind == "bias" && !self.bias {
                continue;
            }
            for (i, map) in ours.iter().enumerate() {
                self.list.push(Name {
                    ours: format!("{map}.{kind}"),
                    theirs: format!("{theirs}.{kind}"),
                    transposed,
                    part: Some((i, ours.len())),
                });
            }
        }
    }

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
        let (ours, theirs) = (ours.to_owned(), theirs.to_owned());
        self.list.push(Name { ours, theirs, transposed: false, part: None });
    }

    fn weight(&mut self, ours: &str, theirs: &str) {
        let (ours, theirs) = (format!("{ours}.weight"), format!("{theirs}.weight"));
        self.list.push(Name { ours, theirs, transposed: true, part: None });
    }

    /// A map that has a bias whatever the others have.
    fn biased(&mut self, ours: &str, theirs: &str) {
        self.weight(ours, theirs);
        self.plain(&format!("{ours}.bias"), &format!("{theirs}.bias"));
    }

    fn linear(&mut self, ours: &str, theirs: &str) {
        if self.bias {
            self.biased(ours, theirs);
        } else {
            self.weight(ours, theirs);
        }
    }

    fn norm(&mut self, ours: &str, theirs: &str) {
        self.plain(&format!("{ours}.gamma"), &format!("{theirs}.weight"));
        if self.norm_bias {
            self.plain(&format!("{ours}.beta"), &format!("{theirs}.bias"));
        }
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
            Family::Modernbert => ("head.dense", "head.norm", "decoder.bias"),
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
    fn modernbert_stacks_maps_and_has_no_norm_before_the_first_attention() {
        let config = EncoderConfig { bias: false, norm_bias: false, ..EncoderConfig::default() };
        let names = encoder(Family::Modernbert, &config, "model.");
        let parts: Vec<_> = names
            .iter()
            .filter(|name| name.theirs == "model.layers.1.attn.Wqkv.weight")
            .map(|name| (name.ours.rsplit('.').nth(1), name.part))
            .collect();
        let part = |name, i| (Some(name), Some((i, 3)));
        assert_eq!(parts, [part("query", 0), part("key", 1), part("value", 2)]);
        assert!(names.iter().all(|name| !name.theirs.ends_with(".bias")));
        let norms = names.iter().filter(|name| name.theirs.contains("attn_norm"));
        assert_eq!(norms.count(), 1);
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
