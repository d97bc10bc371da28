//! `config.json` of a Hugging Face folder.

use std::path::Path;

use serde::Deserialize;
use trunk::{Activation, EncoderConfig};

use crate::exit::BadInput;

/// A model family by its `model_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// BERT (Devlin et al. 2019).
    Bert,
    /// RoBERTa (Liu et al. 2019).
    Roberta,
}

/// The fields that decide what is computed. None has a default here: the classes' defaults differ from the released
/// files, so a missing one is an error.
#[derive(Debug, Deserialize)]
struct Config {
    model_type: Family,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    hidden_dropout_prob: f64,
    attention_probs_dropout_prob: f64,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    initializer_range: f64,
    layer_norm_eps: f64,
    pad_token_id: Option<usize>,
    position_embedding_type: Option<String>,
    is_decoder: Option<bool>,
    add_cross_attention: Option<bool>,
}

/// Reads family and shape.
///
/// # Errors
/// Names the field that is missing or asks for what this program does not have.
pub fn read(path: &Path) -> Result<(Family, EncoderConfig), BadInput> {
    let bad = |message: String| BadInput(format!("{}: {message}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let config: Config = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let activation = match config.hidden_act.as_str() {
        "gelu" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
        "relu" => Activation::Relu,
        other => return Err(bad(format!("hidden_act `{other}` is not known; known: gelu, gelu_new, relu"))),
    };
    match config.position_embedding_type.as_deref() {
        None | Some("absolute") => {}
        Some(other) => return Err(bad(format!("position_embedding_type `{other}` is not known; known: absolute"))),
    }
    if config.is_decoder == Some(true) || config.add_cross_attention == Some(true) {
        return Err(bad("is_decoder or add_cross_attention is true; only encoders are read".to_owned()));
    }
    // RoBERTa numbers positions from the padding id on; BERT from 0.
    let position_offset = match config.model_type {
        Family::Bert => 0,
        Family::Roberta => config.pad_token_id.unwrap_or(1) + 1,
    };
    let positions = config.max_position_embeddings.checked_sub(position_offset);
    let encoder = EncoderConfig {
        vocabulary: config.vocab_size,
        hidden: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        feed_forward: config.intermediate_size,
        positions: positions.ok_or_else(|| bad("max_position_embeddings is too small".to_owned()))?,
        position_offset,
        segments: config.type_vocab_size,
        activation,
        norm_epsilon: config.layer_norm_eps,
        dropout: config.hidden_dropout_prob,
        attention_dropout: config.attention_probs_dropout_prob,
        initializer_range: config.initializer_range,
        ..EncoderConfig::default()
    };
    encoder.validate().map_err(|error| bad(error.to_string()))?;
    Ok((config.model_type, encoder))
}
