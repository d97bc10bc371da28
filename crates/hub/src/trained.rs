//! From a model that was trained here to one of transformers' classes.

use checkpoint::Weights;
use trunk::{
    EmbeddingProjection, EncoderConfig, NormKind, NormPlacement, PositionEmbedding, Sharing,
};

use crate::config::HubConfig;
use crate::error::{Error, Result};
use crate::family::{Architecture, Family};
use crate::model::HubModel;

/// A model that was trained here.
#[derive(Clone, Copy, Debug)]
pub struct TrainedModel<'a> {
    /// Shape of the encoder, with the size of the vocabulary.
    pub encoder: &'a EncoderConfig,
    /// The weights.
    pub weights: &'a Weights,
}

/// A model to be written, and the folder it goes to.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedModel {
    /// Name of the folder if an objective trains several models, else empty.
    pub folder: &'static str,
    /// The model.
    pub model: HubModel,
}

impl ExportedModel {
    /// The model of an objective that trains only one.
    pub fn only(model: HubModel) -> Self {
        Self { folder: "", model }
    }
}

impl TrainedModel<'_> {
    /// The first family that computes the same as the encoder.
    pub fn family(&self) -> Family {
        let encoder = self.encoder;
        let shared = matches!(encoder.sharing, Sharing::All | Sharing::Groups { .. });
        let always = encoder.embedding_projection == EmbeddingProjection::Always;

        if encoder.position_embedding == PositionEmbedding::Rotary {
            Family::Modernbert
        } else if encoder.position_offset > 0 {
            Family::Roberta
        } else if encoder.segments == 0 {
            Family::Distilbert
        } else if encoder.projects() && (shared || always) {
            Family::Albert
        } else if encoder.projects() {
            Family::Electra
        } else {
            Family::Bert
        }
    }

    /// The model as a class of `family`, or of [`TrainedModel::family`] if none is given.
    ///
    /// # Errors
    /// When transformers has no class that computes the same, with the reason.
    pub fn to_class(self, architecture: Architecture, family: Option<Family>) -> Result<HubModel> {
        let family = family.unwrap_or_else(|| self.family());
        check(family, architecture, self.encoder)?;

        let (mut encoder, mut weights) = (self.encoder.clone(), self.weights.clone());
        if family == Family::Albert {
            encoder.embedding_projection = EmbeddingProjection::Always;
            match encoder.sharing {
                Sharing::All => encoder.sharing = Sharing::Groups { groups: 1, inner: 1 },
                Sharing::Groups { .. } => {}
                _ => {
                    let sharing = Sharing::Groups { groups: encoder.layers, inner: 1 };
                    unshare(&mut encoder, &mut weights, sharing);
                }
            }
        } else if encoder.sharing != Sharing::None {
            tracing::warn!(
                "{family} shares no layers: the shared ones are written once for each layer"
            );
            unshare(&mut encoder, &mut weights, Sharing::None);
        }
        if encoder.embedding == 0 {
            encoder.embedding = encoder.hidden;
        }

        let config = HubConfig {
            family,
            architecture: Some(architecture),
            head_dropout: encoder.dropout,
            encoder,
            labels: Vec::new(),
            regression: false,
            mean_pooling: false,
        };
        let model = HubModel { config, architecture, weights, unused: Vec::new() };
        model.check_head()?;
        Ok(model)
    }
}

/// Refuses a shape that a class of `family` does not compute.
fn check(family: Family, architecture: Architecture, encoder: &EncoderConfig) -> Result<()> {
    let projects = encoder.projects();
    let narrow = projects && encoder.embedding_width() != encoder.hidden;
    let has_projection = matches!(family, Family::Albert | Family::Electra);

    let reason = if !architecture.is_of(family) {
        format!("transformers has no {}", architecture.class(family))
    } else if let Some(part) = unknown_part(family, encoder) {
        format!("encoder.{part} has no counterpart there")
    } else if family == Family::Modernbert {
        return Ok(());
    } else if projects && !has_projection {
        "encoder.embedding differs from encoder.hidden; only albert and electra have a map between"
            .to_owned()
    } else if family == Family::Albert && !projects {
        "it always has a map between embeddings and layers; write \
         encoder.embedding_projection = \"always\" when you train for it"
            .to_owned()
    } else if (encoder.position_offset > 0) != (family == Family::Roberta) {
        format!("encoder.position_offset = {} does not fit it", encoder.position_offset)
    } else if (encoder.segments == 0) != (family == Family::Distilbert) {
        format!("encoder.segments = {} does not fit it", encoder.segments)
    } else if family == Family::Distilbert && encoder.norm_epsilon != 1e-12 {
        format!("encoder.norm_epsilon = {}: it has 1e-12", encoder.norm_epsilon)
    } else if family == Family::Electra && projects && !narrow {
        // ELECTRA has a projection only where the widths differ.
        "encoder.embedding_projection = \"always\" has no counterpart there".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Data(format!("it cannot be written as {family}: {reason}")))
}

/// The first part of an encoder that `family` does not have.
fn unknown_part(family: Family, encoder: &EncoderConfig) -> Option<&'static str> {
    let rotary = encoder.position_embedding == PositionEmbedding::Rotary;
    let of_none = [
        (encoder.norm_kind == NormKind::Rms, "norm_kind = \"rms\""),
        (!encoder.embedding_norm, "embedding_norm = false"),
        (encoder.query_key_norm, "query_key_norm = true"),
        (encoder.attention_gate, "attention_gate = true"),
    ];
    let of_modernbert = [
        (encoder.norm == NormPlacement::Post, "norm = \"post\""),
        (encoder.first_norm, "first_norm = true"),
        (!encoder.final_norm, "final_norm = false"),
        (!rotary, "position_embedding = \"absolute\""),
        (!encoder.feed_forward_gate, "feed_forward_gate = false"),
        (encoder.segments > 0, "segments"),
        (encoder.projects(), "embedding"),
    ];
    let of_others = [
        (encoder.norm == NormPlacement::Pre, "norm = \"pre\""),
        (!encoder.norm_bias, "norm_bias = false"),
        (!encoder.bias, "bias = false"),
        (rotary, "position_embedding = \"rotary\""),
        (encoder.local_attention > 0, "local_attention"),
        (encoder.feed_forward_gate, "feed_forward_gate = true"),
    ];
    let own = if family == Family::Modernbert { &of_modernbert[..] } else { &of_others };
    of_none.iter().chain(own).find(|(has, _)| *has).map(|(_, part)| *part)
}

/// Gives every layer its own copy of the parameters that it shares.
fn unshare(encoder: &mut EncoderConfig, weights: &mut Weights, sharing: Sharing) {
    let shared: Vec<String> = weights.keys().filter(|name| is_layer(name)).cloned().collect();
    let taken: Weights =
        shared.into_iter().filter_map(|name| weights.remove_entry(&name)).collect();

    for layer in 0..encoder.layers {
        let (attention, feed_forward) = encoder.sharing.of(layer, encoder.layers);
        for (kind, distinct) in [("attention", attention), ("feed_forward", feed_forward)] {
            let from = format!("encoder.stack.{kind}.{distinct}.");
            for (name, weight) in &taken {
                if let Some(part) = name.strip_prefix(&from) {
                    weights.insert(format!("encoder.stack.{kind}.{layer}.{part}"), weight.clone());
                }
            }
        }
    }
    encoder.sharing = sharing;
}

fn is_layer(name: &str) -> bool {
    name.starts_with("encoder.stack.attention.") || name.starts_with("encoder.stack.feed_forward.")
}

#[cfg(test)]
mod tests {
    use checkpoint::HostTensor;
    use trunk::Activation;

    use super::*;

    fn tensor(value: f32) -> HostTensor {
        HostTensor { shape: vec![1], values: vec![value] }
    }

    #[test]
    fn shared_layers_become_copies() {
        let mut encoder =
            EncoderConfig { layers: 3, sharing: Sharing::Attention, ..EncoderConfig::default() };
        let mut weights = Weights::new();
        weights.insert("encoder.stack.attention.0.query.bias".to_owned(), tensor(7.0));
        for layer in 0..3 {
            weights.insert(
                format!("encoder.stack.feed_forward.{layer}.inner.bias"),
                tensor(layer as f32),
            );
        }

        unshare(&mut encoder, &mut weights, Sharing::None);
        assert_eq!(weights.len(), 6);
        assert_eq!(weights["encoder.stack.attention.2.query.bias"], tensor(7.0));
        assert_eq!(weights["encoder.stack.feed_forward.1.inner.bias"], tensor(1.0));
        assert_eq!(encoder.sharing, Sharing::None);
    }

    #[test]
    fn what_transformers_cannot_compute_is_refused_with_the_reason() {
        let refuse = |family, encoder: &EncoderConfig| {
            TrainedModel { encoder, weights: &Weights::new() }
                .to_class(Architecture::MaskedLm, Some(family))
                .expect_err("refused")
                .to_string()
        };

        let plain = EncoderConfig::default();
        let pre = EncoderConfig { norm: NormPlacement::Pre, ..plain.clone() };
        assert!(refuse(Family::Bert, &pre).contains("encoder.norm = \"pre\""));
        assert!(refuse(Family::Albert, &plain).contains("embedding_projection = \"always\""));
        assert!(refuse(Family::Roberta, &plain).contains("encoder.position_offset = 0"));
        let tanh = EncoderConfig { activation: Activation::GeluTanh, position_offset: 2, ..plain };
        assert!(refuse(Family::Roberta, &tanh).contains("always computes `gelu`"));

        let modern = EncoderConfig {
            norm: NormPlacement::Pre,
            position_embedding: PositionEmbedding::Rotary,
            feed_forward_gate: true,
            first_norm: false,
            segments: 0,
            ..EncoderConfig::default()
        };
        let trained = TrainedModel { encoder: &modern, weights: &Weights::new() };
        assert_eq!(trained.family(), Family::Modernbert);
        trained.to_class(Architecture::MaskedLm, None).expect("transformers computes it");
        let rms = EncoderConfig { norm_kind: NormKind::Rms, ..modern.clone() };
        assert!(refuse(Family::Modernbert, &rms).contains("encoder.norm_kind = \"rms\""));
        assert!(refuse(Family::Bert, &modern).contains("encoder.norm = \"pre\""));
        let first = EncoderConfig { first_norm: true, ..modern };
        assert!(refuse(Family::Modernbert, &first).contains("encoder.first_norm = true"));
    }
}
