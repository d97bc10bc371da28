//! What the model of a run is in Hugging Face's terms.

use trunk::{EmbeddingProjection, EncoderConfig, NormPlacement, Sharing};
use tune::{HeadStyle, Kind, TuneConfig};

use super::{Architecture, Family, HubConfig, HubModel};
use crate::config::parse;
use crate::exit::BadInput;
use crate::train::weights::Weights;

/// A trained model.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Its objective.
    pub objective: &'a str,
    /// The objective's knobs.
    pub knobs: &'a toml::Table,
    /// Shape of the encoder, the vocabulary known.
    pub encoder: &'a EncoderConfig,
    /// The weights.
    pub weights: &'a Weights,
}

/// The models to be written, each with the name of its folder (empty: the folder itself): two where
/// the objective trains two. Without `family` each becomes the first that has its shape.
///
/// # Errors
/// When transformers has no class that computes the same, with what stands in the way.
pub fn of_run(
    run: Run<'_>,
    family: Option<Family>,
) -> Result<Vec<(&'static str, HubModel)>, BadInput> {
    let one = |architecture, encoder: &EncoderConfig, weights: Weights| {
        model(family.unwrap_or_else(|| natural(encoder)), architecture, encoder, weights)
    };
    match run.objective {
        "mlm" | "sbo" | "distilbert" => {
            Ok(vec![("", one(Architecture::MaskedLm, run.encoder, run.weights.clone())?)])
        }
        "sop" => {
            let config: sop::SopConfig = parse(run.knobs.clone(), "objective.")?;
            let architecture = match config.labels {
                mlm::PairLabels::None => Architecture::MaskedLm,
                _ => Architecture::PreTraining,
            };
            if architecture == Architecture::PreTraining
                && config.labels == mlm::PairLabels::SentenceOrder
                && family.unwrap_or_else(|| natural(run.encoder)) == Family::Bert
            {
                tracing::warn!(
                    "a BertForPreTraining asks whether the second segment is the next one; here class 1 of its \
                     `seq_relationship` means swapped segments"
                );
            }
            Ok(vec![("", one(architecture, run.encoder, run.weights.clone())?)])
        }
        "finetune" => {
            let config: TuneConfig = parse(run.knobs.clone(), "objective.")?;
            let architecture = match config.kind {
                Kind::Classification | Kind::Regression => Architecture::Sequence,
                Kind::Tagging => Architecture::Token,
                Kind::Question => Architecture::Question,
            };
            let fitting = match config.head {
                HeadStyle::Roberta => Some(Family::Roberta),
                HeadStyle::Electra => Some(Family::Electra),
                HeadStyle::Distilbert => Some(Family::Distilbert),
                HeadStyle::Bert | HeadStyle::Tinybert | HeadStyle::ElectraAuthors => None,
            };
            if config.kind.of_sequence() && config.head == HeadStyle::ElectraAuthors {
                let message = "objective.head = \"electra-authors\" has no counterpart in transformers; fine-tune with --head electra";
                return Err(BadInput(message.to_owned()));
            }
            let family = family.or(fitting.filter(|_| config.kind.of_sequence()));
            let mut model = model(
                family.unwrap_or_else(|| natural(run.encoder)),
                architecture,
                run.encoder,
                run.weights.clone(),
            )?;
            model.config.labels = match config.kind {
                Kind::Regression => vec!["score".to_owned()],
                _ => config.labels.clone(),
            };
            model.config.regression = config.kind == Kind::Regression;
            model.config.head_dropout = config.dropout;
            if config.kind.of_sequence() && model.head_style() != config.head {
                return Err(BadInput(format!(
                    "a {} has another head than objective.head = {}",
                    architecture.class(model.config.family),
                    toml::Value::try_from(config.head)
                        .map(|head| head.to_string())
                        .unwrap_or_default()
                )));
            }
            Ok(vec![("", model)])
        }
        "rtd" => match family {
            None | Some(Family::Electra) => electra(run),
            Some(other) => {
                Err(BadInput(format!("--family {other}: a run of `rtd` is exported as ELECTRA")))
            }
        },
        "tinybert" => {
            // Without the maps to the teacher's width, which only training needs.
            let mut weights = run.weights.clone();
            weights.retain(|name, _| name.starts_with("encoder."));
            Ok(vec![("", one(Architecture::Encoder, run.encoder, weights)?)])
        }
        other => {
            Err(BadInput(format!("a run of the objective `{other}` has no class in transformers")))
        }
    }
}

/// Discriminator and generator, each with the embeddings that they share.
fn electra(run: Run<'_>) -> Result<Vec<(&'static str, HubModel)>, BadInput> {
    let config: rtd::RtdConfig = parse(run.knobs.clone(), "objective.")?;
    let mut models = Vec::new();
    let detects = matches!(config.variant, rtd::Variant::Electra | rtd::Variant::Electra15);
    let architecture = if detects { Architecture::Discriminator } else { Architecture::MaskedLm };
    models.push((
        "discriminator",
        model(Family::Electra, architecture, run.encoder, run.weights.clone())?,
    ));
    if config.generator.kind == rtd::Kind::Model {
        let shape = config.generator.shape(run.encoder);
        let mut weights = Weights::new();
        for (name, weight) in run.weights {
            if let Some(part) = name.strip_prefix("encoder.") {
                weights.entry(name.clone()).or_insert_with(|| weight.clone());
                // What it has of its own comes in the place of the encoder's.
                let own = match part.strip_prefix("embeddings.") {
                    Some(table) => format!("generator.{table}"),
                    None => format!("generator.{part}"),
                };
                if let Some(weight) = run.weights.get(&own) {
                    weights.insert(name.clone(), weight.clone());
                }
            } else if let Some(part) = name.strip_prefix("generator.") {
                let name = match part.split('.').next() {
                    Some("head") => part.to_owned(),
                    Some("stack") => format!("encoder.{part}"),
                    _ => format!("encoder.embeddings.{part}"),
                };
                weights.insert(name, weight.clone());
            }
        }
        if config.generator.tying != rtd::Tying::All {
            // Layers of the encoder that a shallower or narrower generator has not.
            weights.retain(|name, _| {
                let layers = name.strip_prefix("encoder.stack.");
                layers
                    .is_none_or(|part| run.weights.contains_key(&format!("generator.stack.{part}")))
            });
        }
        models
            .push(("generator", model(Family::Electra, Architecture::MaskedLm, &shape, weights)?));
    }
    Ok(models)
}

/// The family that computes what `encoder` does.
fn natural(encoder: &EncoderConfig) -> Family {
    let shared = matches!(encoder.sharing, Sharing::All | Sharing::Groups { .. });
    if encoder.position_offset > 0 {
        Family::Roberta
    } else if encoder.segments == 0 {
        Family::Distilbert
    } else if encoder.projects()
        && (shared || encoder.embedding_projection == EmbeddingProjection::Always)
    {
        Family::Albert
    } else if encoder.projects() {
        Family::Electra
    } else {
        Family::Bert
    }
}

fn model(
    family: Family,
    architecture: Architecture,
    encoder: &EncoderConfig,
    mut weights: Weights,
) -> Result<HubModel, BadInput> {
    let no = |reason: String| Err(BadInput(format!("it cannot be written as {family}: {reason}")));
    if Architecture::of_class(&architecture.class(family), family) != Some(architecture) {
        return no(format!("transformers has no {}", architecture.class(family)));
    }
    if encoder.norm == NormPlacement::Pre {
        return no("encoder.norm = \"pre\" has no counterpart there".to_owned());
    }
    let projects = encoder.projects();
    match family {
        Family::Bert | Family::Roberta | Family::Distilbert if projects => {
            return no(
                "encoder.embedding differs from encoder.hidden; only albert and electra have a map between".into()
            );
        }
        Family::Albert if !projects => {
            return no("it always has a map between embeddings and layers; write \
                       encoder.embedding_projection = \"always\" when you train for it"
                .to_owned());
        }
        _ => {}
    }
    if (encoder.position_offset > 0) != (family == Family::Roberta) {
        return no(format!(
            "encoder.position_offset = {} does not fit it",
            encoder.position_offset
        ));
    }
    if (encoder.segments == 0) != (family == Family::Distilbert) {
        return no(format!("encoder.segments = {} does not fit it", encoder.segments));
    }
    if family == Family::Distilbert && encoder.norm_epsilon != 1e-12 {
        return no(format!("encoder.norm_epsilon = {}: it has 1e-12", encoder.norm_epsilon));
    }
    let mut encoder = encoder.clone();
    // ELECTRA always has a map where the widths differ, and none where they do not.
    if family == Family::Electra && encoder.embedding_width() == encoder.hidden && projects {
        return no("encoder.embedding_projection = \"always\" has no counterpart there".to_owned());
    }
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
    let head_dropout = encoder.dropout;
    let config = HubConfig {
        family,
        architecture: Some(architecture),
        encoder,
        labels: Vec::new(),
        regression: false,
        head_dropout,
    };
    let model = HubModel { config, architecture, weights, unused: Vec::new() };
    model.check_head()?;
    Ok(model)
}

/// Gives every layer its own copy of what it shares.
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
    use super::*;
    use trunk::Activation;

    use crate::train::weights::HostTensor;

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
            model(family, Architecture::MaskedLm, encoder, Weights::new())
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
    }
}
