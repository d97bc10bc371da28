//! Reading and writing `config.json` of a Hugging Face folder.

use std::path::Path;

use serde_json::{Map, Value, json};
use trunk::{EmbeddingProjection, EncoderConfig, Sharing};

use crate::error::{Error, Result};
use crate::family::{Architecture, Family};
use crate::fields::{Fields, SpecialIds, activation_name};
use crate::modernbert;

/// The content of `config.json`, as far as it decides what a model computes.
#[derive(Clone, Debug, PartialEq)]
pub struct HubConfig {
    /// `model_type`
    pub family: Family,
    /// From `architectures`, if the field is present.
    pub architecture: Option<Architecture>,
    /// Shape of the encoder.
    pub encoder: EncoderConfig,
    /// `id2label` in the order of the ids; empty if the field is missing.
    pub labels: Vec<String>,
    /// Whether `problem_type` is `regression` or, without that field, there is one label.
    pub regression: bool,
    /// Dropout before the classifier of a fine-tuned model.
    pub head_dropout: f64,
    /// Whether a class of the whole sequence looks at the mean of its tokens instead of the first.
    pub mean_pooling: bool,
}

/// Names of the fields for which some families have names of their own.
struct Spelling {
    hidden: &'static str,
    layers: &'static str,
    heads: &'static str,
    feed_forward: &'static str,
    activation: &'static str,
    dropout: &'static str,
    attention_dropout: &'static str,
}

const USUAL: Spelling = Spelling {
    hidden: "hidden_size",
    layers: "num_hidden_layers",
    heads: "num_attention_heads",
    feed_forward: "intermediate_size",
    activation: "hidden_act",
    dropout: "hidden_dropout_prob",
    attention_dropout: "attention_probs_dropout_prob",
};

const DISTILBERT: Spelling = Spelling {
    hidden: "dim",
    layers: "n_layers",
    heads: "n_heads",
    feed_forward: "hidden_dim",
    activation: "activation",
    dropout: "dropout",
    attention_dropout: "attention_dropout",
};

const MODERNBERT: Spelling = Spelling {
    activation: "hidden_activation",
    dropout: "embedding_dropout",
    attention_dropout: "attention_dropout",
    ..USUAL
};

fn spelling(family: Family) -> &'static Spelling {
    match family {
        Family::Distilbert => &DISTILBERT,
        Family::Modernbert => &MODERNBERT,
        _ => &USUAL,
    }
}

/// Reads family, class and shape.
///
/// # Errors
/// Names the field that is missing or has a value that this program does not support.
pub fn read(path: &Path) -> Result<HubConfig> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::of_file(path, error))?;
    let map: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| Error::of_file(path, error))?;
    let fields = Fields::new(path, map);

    // The files of TinyBERT and of the first BERT lack `model_type`.
    let family = match fields.find::<String>("model_type")? {
        None => Family::Bert,
        Some(name) => Family::find(&name).ok_or_else(|| {
            fields.bad(&format!(
                "`model_type` is \"{name}\"; known: {}",
                Family::ALL.map(Family::name).join(", ")
            ))
        })?,
    };

    fields.expect("position_embedding_type", &[json!("absolute")])?;
    // `sinusoidal_pos_embds` only chooses the first values of DistilBERT's table, which is in the
    // file.
    for flag in ["is_decoder", "add_cross_attention"] {
        fields.expect(flag, &[json!(false)])?;
    }

    let encoder = match family {
        Family::Modernbert => modernbert::encoder(&fields)?,
        _ => encoder(&fields, family)?,
    };
    encoder.validate().map_err(|error| Error::of_file(path, error))?;

    let labels = labels(&fields)?;
    let problem = fields.find::<String>("problem_type")?;
    fields.expect("problem_type", &[json!("regression"), json!("single_label_classification")])?;

    let named =
        fields.find::<Vec<String>>("architectures")?.and_then(|names| names.into_iter().next());
    let architecture = match named {
        None => None,
        Some(name) => Some(Architecture::of_class(&name, family).ok_or_else(|| {
            fields.bad(&format!(
                "`architectures` is [\"{name}\"]; known for {family}: {}",
                Architecture::classes(family).join(", ")
            ))
        })?),
    };

    let dropout_field = match family {
        Family::Albert => "classifier_dropout_prob",
        Family::Distilbert => "seq_classif_dropout",
        _ => "classifier_dropout",
    };
    let head_dropout = fields.find(dropout_field)?.unwrap_or(encoder.dropout);
    let pooling = fields.find::<String>("classifier_pooling")?;
    let mean_pooling = family == Family::Modernbert && pooling.as_deref() == Some("mean");
    let regression = problem.map_or(labels.len() == 1, |problem| problem == "regression");
    Ok(HubConfig { family, architecture, encoder, labels, regression, head_dropout, mean_pooling })
}

/// The shape of the encoder.
fn encoder(fields: &Fields<'_>, family: Family) -> Result<EncoderConfig> {
    let names = spelling(family);

    // RoBERTa counts positions from the padding id on, the others from 0.
    let position_offset = match family {
        Family::Roberta => fields.find::<usize>("pad_token_id")?.unwrap_or(1) + 1,
        _ => 0,
    };
    let rows = fields.get::<usize>("max_position_embeddings")?;
    let positions = rows.checked_sub(position_offset);

    let layers = fields.get::<usize>(names.layers)?;
    let inner =
        if family == Family::Albert { fields.find("inner_group_num")?.unwrap_or(1) } else { 1 };
    let epsilon = match family {
        // A constant in its code.
        Family::Distilbert => 1e-12,
        Family::Roberta => fields.get("layer_norm_eps")?,
        _ => fields.find("layer_norm_eps")?.unwrap_or(1e-12),
    };

    Ok(EncoderConfig {
        vocabulary: fields.get("vocab_size")?,
        hidden: fields.get(names.hidden)?,
        embedding: match family {
            Family::Albert | Family::Electra => fields.get("embedding_size")?,
            _ => 0,
        },
        embedding_projection: match family {
            Family::Albert => EmbeddingProjection::Always,
            _ => EmbeddingProjection::Auto,
        },
        layers: layers.saturating_mul(inner),
        heads: fields.get(names.heads)?,
        feed_forward: fields.get(names.feed_forward)?,
        positions: positions.ok_or_else(|| fields.bad("`max_position_embeddings` is too small"))?,
        position_offset,
        segments: if family == Family::Distilbert { 0 } else { fields.get("type_vocab_size")? },
        activation: fields.activation(names.activation)?,
        norm_epsilon: epsilon,
        dropout: fields.get(names.dropout)?,
        attention_dropout: fields.get(names.attention_dropout)?,
        sharing: match family {
            Family::Albert => Sharing::Groups { groups: fields.get("num_hidden_groups")?, inner },
            _ => Sharing::None,
        },
        initializer_range: fields.find("initializer_range")?.unwrap_or(0.02),
        ..EncoderConfig::default()
    })
}

/// `id2label` in the order of its ids, or default names for `num_labels` labels.
fn labels(fields: &Fields<'_>) -> Result<Vec<String>> {
    let Some(names) = fields.find::<Map<String, Value>>("id2label")? else {
        let count = fields.find::<usize>("num_labels")?.unwrap_or(0);
        return Ok((0..count).map(|i| format!("LABEL_{i}")).collect());
    };

    let name = |id: usize| names.get(&id.to_string()).and_then(Value::as_str).map(str::to_owned);
    let labels: Option<Vec<String>> = (0..names.len()).map(name).collect();
    labels.ok_or_else(|| fields.bad("`id2label` must map \"0\", \"1\", ... to names without a gap"))
}

/// The text of `config.json`.
pub fn write(config: &HubConfig, architecture: Architecture, specials: SpecialIds) -> String {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    set("architectures", json!([architecture.class(config.family)]));
    set("model_type", config.family.to_string().into());
    set("pad_token_id", specials.pad.into());
    set("torch_dtype", "float32".into());
    set("tie_word_embeddings", true.into());

    set_shape(&mut set, config);
    set_family(&mut set, config, specials);
    if !config.labels.is_empty() {
        set_labels(&mut set, config, architecture);
    }
    serde_json::to_string_pretty(&fields).expect("a value is JSON")
}

/// Sets the fields for the shape of the encoder, under the names that the family has for them.
fn set_shape(set: &mut impl FnMut(&str, Value), config: &HubConfig) {
    let (encoder, names) = (&config.encoder, spelling(config.family));
    let layers = match encoder.sharing {
        Sharing::Groups { inner, .. } => encoder.layers / inner,
        _ => encoder.layers,
    };
    set("vocab_size", encoder.vocabulary.into());
    set("max_position_embeddings", (encoder.positions + encoder.position_offset).into());
    set("initializer_range", encoder.initializer_range.into());
    set(names.activation, activation_name(encoder.activation).into());
    set(names.hidden, encoder.hidden.into());
    set(names.layers, layers.into());
    set(names.heads, encoder.heads.into());
    set(names.feed_forward, encoder.feed_forward.into());
    set(names.dropout, encoder.dropout.into());
    set(names.attention_dropout, encoder.attention_dropout.into());

    if !matches!(config.family, Family::Distilbert | Family::Modernbert) {
        set("layer_norm_eps", encoder.norm_epsilon.into());
        set("type_vocab_size", encoder.segments.into());
        set("position_embedding_type", "absolute".into());
    }
}

/// Sets the fields that only some families have.
fn set_family(set: &mut impl FnMut(&str, Value), config: &HubConfig, specials: SpecialIds) {
    let (encoder, head_dropout) = (&config.encoder, config.head_dropout);
    let (groups, inner) = match encoder.sharing {
        Sharing::Groups { groups, inner } => (groups, inner),
        _ => (1, 1),
    };

    match config.family {
        Family::Bert => set("classifier_dropout", head_dropout.into()),
        Family::Roberta => {
            set("classifier_dropout", head_dropout.into());
            set("bos_token_id", specials.begin.into());
            set("eos_token_id", specials.end.into());
        }
        Family::Albert => {
            set("classifier_dropout_prob", head_dropout.into());
            set("embedding_size", encoder.embedding_width().into());
            set("num_hidden_groups", groups.into());
            set("inner_group_num", inner.into());
            set("bos_token_id", specials.begin.into());
            set("eos_token_id", specials.end.into());
        }
        Family::Electra => {
            set("classifier_dropout", head_dropout.into());
            set("embedding_size", encoder.embedding_width().into());
            set("summary_type", "first".into());
            set("summary_use_proj", true.into());
            set("summary_activation", "gelu".into());
            set("summary_last_dropout", 0.1.into());
        }
        Family::Distilbert => {
            set("sinusoidal_pos_embds", false.into());
            set("qa_dropout", head_dropout.into());
            set("seq_classif_dropout", head_dropout.into());
        }
        Family::Modernbert => {
            let pooling = if config.mean_pooling { "mean" } else { "cls" };
            set("classifier_dropout", head_dropout.into());
            set("classifier_pooling", pooling.into());
            modernbert::set(set, encoder, specials);
        }
    }
}

/// Sets the fields of a fine-tuned class.
fn set_labels(set: &mut impl FnMut(&str, Value), config: &HubConfig, architecture: Architecture) {
    let ids = || config.labels.iter().enumerate();
    let names: Map<String, Value> = ids().map(|(id, name)| (id.to_string(), json!(name))).collect();
    let numbers: Map<String, Value> = ids().map(|(id, name)| (name.clone(), json!(id))).collect();
    set("id2label", names.into());
    set("label2id", numbers.into());

    if architecture == Architecture::Sequence {
        let problem = if config.regression { "regression" } else { "single_label_classification" };
        set("problem_type", problem.into());
    }
}
