//! Names of parameters in Hugging Face files and here.

use trunk::EncoderConfig;

use super::config::Family;

/// A parameter in both worlds.
#[derive(Debug)]
pub struct Name {
    /// The name here.
    pub ours: String,
    /// Names there, the usual one first.
    pub theirs: Vec<String>,
    /// Whether the file holds the transpose.
    pub transposed: bool,
}

/// Every parameter of a masked language model of `family`.
pub fn of(family: Family, encoder: &EncoderConfig) -> Vec<Name> {
    let mut names = Names::default();
    let (prefix, head) = match family {
        Family::Bert => (
            "bert",
            HeadNames {
                dense: "cls.predictions.transform.dense",
                norm: "cls.predictions.transform.LayerNorm",
                bias: "cls.predictions.bias",
            },
        ),
        Family::Roberta => {
            ("roberta", HeadNames { dense: "lm_head.dense", norm: "lm_head.layer_norm", bias: "lm_head.bias" })
        }
    };
    let embeddings = format!("{prefix}.embeddings");
    for (ours, theirs) in [("tokens", "word"), ("places.positions", "position"), ("places.segments", "token_type")] {
        names.plain(&format!("encoder.embeddings.{ours}"), &format!("{embeddings}.{theirs}_embeddings.weight"));
    }
    names.norm("encoder.embeddings.places.norm", &format!("{embeddings}.LayerNorm"));
    for layer in 0..encoder.layers {
        let (attention, network) =
            (format!("encoder.stack.attention.{layer}"), format!("encoder.stack.feed_forward.{layer}"));
        let theirs = format!("{prefix}.encoder.layer.{layer}");
        for part in ["query", "key", "value"] {
            names.linear(&format!("{attention}.{part}"), &format!("{theirs}.attention.self.{part}"));
        }
        names.linear(&format!("{attention}.output"), &format!("{theirs}.attention.output.dense"));
        names.norm(&format!("{attention}.norm"), &format!("{theirs}.attention.output.LayerNorm"));
        names.linear(&format!("{network}.inner"), &format!("{theirs}.intermediate.dense"));
        names.linear(&format!("{network}.outer"), &format!("{theirs}.output.dense"));
        names.norm(&format!("{network}.norm"), &format!("{theirs}.output.LayerNorm"));
    }
    names.linear("head.transform", head.dense);
    names.norm("head.norm", head.norm);
    names.plain("head.bias", head.bias);
    names.0
}

/// Whether a tensor repeats another (a tied one) or holds no parameter.
pub fn is_redundant(name: &str) -> bool {
    name.ends_with(".decoder.weight") || name.ends_with(".decoder.bias") || name.ends_with(".position_ids")
}

struct HeadNames {
    dense: &'static str,
    norm: &'static str,
    bias: &'static str,
}

#[derive(Default)]
struct Names(Vec<Name>);

impl Names {
    fn plain(&mut self, ours: &str, theirs: &str) {
        self.0.push(Name { ours: ours.to_owned(), theirs: vec![theirs.to_owned()], transposed: false });
    }

    fn linear(&mut self, ours: &str, theirs: &str) {
        let weight = vec![format!("{theirs}.weight")];
        self.0.push(Name { ours: format!("{ours}.weight"), theirs: weight, transposed: true });
        self.plain(&format!("{ours}.bias"), &format!("{theirs}.bias"));
    }

    /// Checkpoints converted from TensorFlow long ago say gamma and beta.
    fn norm(&mut self, ours: &str, theirs: &str) {
        for (part, usual) in [("gamma", "weight"), ("beta", "bias")] {
            let theirs = vec![format!("{theirs}.{usual}"), format!("{theirs}.{part}")];
            self.0.push(Name { ours: format!("{ours}.{part}"), theirs, transposed: false });
        }
    }
}
