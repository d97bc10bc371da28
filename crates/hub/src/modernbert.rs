//! `config.json` of ModernBERT and Ettin, whose fields no other family has.

use serde_json::{Map, Value, json};
use trunk::{EncoderConfig, NormPlacement, OutputInit, PositionEmbedding};

use crate::error::Result;
use crate::fields::{Fields, SpecialIds, activation_name};

/// The shape of the encoder.
///
/// # Errors
/// Names the field that is missing or has a value that this program does not support.
pub fn encoder(fields: &Fields<'_>) -> Result<EncoderConfig> {
    let bias = fields.get::<bool>("attention_bias")?;
    fields.expect("mlp_bias", &[json!(bias)])?;
    fields.expect("classifier_bias", &[json!(bias)])?;
    fields.expect("decoder_bias", &[json!(true)])?;
    fields.expect("mlp_dropout", &[json!(0), json!(0.0)])?;
    let activation = fields.activation("hidden_activation")?;
    fields.expect("classifier_activation", &[json!(activation_name(activation))])?;

    let layers = fields.get::<usize>("num_hidden_layers")?;
    let every = global_attention_every(fields, layers)?;
    let (global_base, local_base) = rotary_bases(fields)?;

    Ok(EncoderConfig {
        vocabulary: fields.get("vocab_size")?,
        hidden: fields.get("hidden_size")?,
        layers,
        heads: fields.get("num_attention_heads")?,
        feed_forward: fields.get("intermediate_size")?,
        feed_forward_gate: true,
        positions: fields.get("max_position_embeddings")?,
        position_embedding: PositionEmbedding::Rotary,
        rotary_base: global_base,
        local_rotary_base: local_base,
        local_attention: if every == 1 { 0 } else { fields.get("local_attention")? },
        global_attention_every: if every == 1 { 3 } else { every },
        segments: 0,
        activation,
        norm: NormPlacement::Pre,
        norm_bias: fields.get("norm_bias")?,
        norm_epsilon: fields.get("norm_eps")?,
        first_norm: false,
        bias,
        dropout: fields.find("embedding_dropout")?.unwrap_or(0.0),
        attention_dropout: fields.find("attention_dropout")?.unwrap_or(0.0),
        initializer_range: fields.find("initializer_range")?.unwrap_or(0.02),
        output_init: OutputInit::DepthScaled,
        ..EncoderConfig::default()
    })
}

/// Of how many layers one has global attention: from `layer_types`, or in files of earlier versions
/// from `global_attn_every_n_layers`.
fn global_attention_every(fields: &Fields<'_>, layers: usize) -> Result<usize> {
    let Some(types) = fields.find::<Vec<String>>("layer_types")? else {
        let every = fields.get::<usize>("global_attn_every_n_layers")?;
        return if every > 0 {
            Ok(every)
        } else {
            Err(fields.bad("`global_attn_every_n_layers` must be at least 1"))
        };
    };

    let pattern = |every: usize| (0..layers).map(move |layer| layer_type(layer, every));
    let fits = |every: &usize| types.iter().map(String::as_str).eq(pattern(*every));
    (1..=layers.max(1)).find(fits).ok_or_else(|| {
        fields.bad(
            "`layer_types` must have \"full_attention\" in every n-th layer, the first one among \
             them, and \"sliding_attention\" in the others",
        )
    })
}

fn layer_type(layer: usize, every: usize) -> &'static str {
    if layer.is_multiple_of(every) { "full_attention" } else { "sliding_attention" }
}

/// The bases of the rotary angles of global and of local layers.
fn rotary_bases(fields: &Fields<'_>) -> Result<(f64, f64)> {
    let parameters = fields.find::<Map<String, Value>>("rope_parameters")?.unwrap_or_default();
    let base = |layers: &str, old: &str| -> Result<Option<f64>> {
        let Some(found) = parameters.get(layers).and_then(Value::as_object) else {
            return fields.find(old);
        };
        match found.get("rope_type").and_then(Value::as_str) {
            None | Some("default") => Ok(found.get("rope_theta").and_then(Value::as_f64)),
            Some(other) => {
                Err(fields.bad(&format!("`rope_type` is \"{other}\"; known: \"default\"")))
            }
        }
    };

    let missing = || fields.bad("`global_rope_theta` is missing; add it as the model was trained");
    let global = base("full_attention", "global_rope_theta")?.ok_or_else(missing)?;
    let local = base("sliding_attention", "local_rope_theta")?.unwrap_or(global);
    Ok((global, local))
}

/// Sets the fields that other families lack, for transformers of now and of before version 5.
pub fn set(set: &mut impl FnMut(&str, Value), encoder: &EncoderConfig, specials: SpecialIds) {
    let every = if encoder.local_attention == 0 { 1 } else { encoder.global_attention_every };
    let types: Vec<&str> = (0..encoder.layers).map(|layer| layer_type(layer, every)).collect();
    set("layer_types", json!(types));
    set("global_attn_every_n_layers", every.into());
    set("local_attention", if every == 1 { 128 } else { encoder.local_attention }.into());
    let rope = |base: f64| json!({ "rope_type": "default", "rope_theta": base });
    let (global, local) = (encoder.rotary_base, encoder.local_rotary_base);
    set(
        "rope_parameters",
        json!({ "full_attention": rope(global), "sliding_attention": rope(local) }),
    );
    set("global_rope_theta", global.into());
    set("local_rope_theta", local.into());

    set("norm_eps", encoder.norm_epsilon.into());
    set("norm_bias", encoder.norm_bias.into());
    for bias in ["attention_bias", "mlp_bias", "classifier_bias"] {
        set(bias, encoder.bias.into());
    }
    set("decoder_bias", true.into());
    set("mlp_dropout", 0.0.into());
    set("classifier_activation", activation_name(encoder.activation).into());
    for (field, id) in [
        ("bos_token_id", specials.begin),
        ("cls_token_id", specials.begin),
        ("eos_token_id", specials.end),
        ("sep_token_id", specials.end),
    ] {
        set(field, id.into());
    }
}
