//! ELECTRA in Hugging Face's format: discriminator and generator, each in a folder of its own.

use checkpoint::Weights;
use hub::{Architecture, Error, ExportedModel, Family, HubModel, TrainedModel};

use crate::config::{GeneratorConfig, GeneratorKind, RtdConfig, Tying};

/// A released discriminator, whose generator is another model.
pub fn import(model: &HubModel) -> Option<RtdConfig> {
    let unigram = GeneratorConfig { kind: GeneratorKind::Unigram, ..GeneratorConfig::default() };
    (model.architecture == Architecture::Discriminator)
        .then(|| RtdConfig { generator: unigram, ..RtdConfig::default() })
}

/// Discriminator and generator, each with the embeddings that they share.
pub fn export(
    config: &RtdConfig,
    trained: TrainedModel<'_>,
    family: Option<Family>,
) -> Result<Vec<ExportedModel>, Error> {
    if let Some(other) = family.filter(|family| *family != Family::Electra) {
        let message = format!("--family {other}: a run of `rtd` is exported as ELECTRA");
        return Err(Error::Data(message));
    }

    let architecture = if config.variant.is_detector() {
        Architecture::Discriminator
    } else {
        Architecture::MaskedLm
    };
    let encoder = trained.to_class(architecture, Some(Family::Electra))?;
    let mut models = vec![ExportedModel { folder: "discriminator", model: encoder }];

    if config.generator.kind == GeneratorKind::Model {
        let shape = config.generator.shape(trained.encoder);
        let weights = generator_weights(config.generator.tying, trained.weights);
        let model = TrainedModel { encoder: &shape, weights: &weights }
            .to_class(Architecture::MaskedLm, Some(Family::Electra))?;
        models.push(ExportedModel { folder: "generator", model });
    }
    Ok(models)
}

/// The name in a model that is the generator alone of the generator's parameter `part`.
pub fn name_alone(part: &str) -> String {
    match part.split('.').next() {
        Some("head") => part.to_owned(),
        Some("stack") => format!("encoder.{part}"),
        _ => format!("encoder.embeddings.{part}"),
    }
}

/// The parameters that the generator computes with, under the names of a masked language model.
fn generator_weights(tying: Tying, all: &Weights) -> Weights {
    let mut weights = Weights::new();
    for (name, weight) in all {
        if let Some(part) = name.strip_prefix("encoder.") {
            weights.entry(name.clone()).or_insert_with(|| weight.clone());
            // The generator's own parameter takes the place of the encoder's.
            let own = format!("generator.{}", part.strip_prefix("embeddings.").unwrap_or(part));
            if let Some(weight) = all.get(&own) {
                weights.insert(name.clone(), weight.clone());
            }
        } else if let Some(part) = name.strip_prefix("generator.") {
            weights.insert(name_alone(part), weight.clone());
        }
    }

    if tying != Tying::All {
        // Layers of the encoder that a shallower or narrower generator does not have.
        weights.retain(|name, _| {
            let layer = name.strip_prefix("encoder.stack.");
            layer.is_none_or(|part| all.contains_key(&format!("generator.stack.{part}")))
        });
    }
    weights
}
