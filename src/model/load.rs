//! A model that is ready to be evaluated.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use burn::module::Module;
use burn::tensor::Device;
use checkpoint::{HostTensor, Weights, weights};
use eval::{Evaluable, LoadedModel};
use objective::{Context, Objective, Teacher, Workers};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use toml::Table;
use trunk::Encoder;

use super::source::ModelSource;
use super::teacher;
use crate::exit::BadInput;
use crate::signals;

/// A model that is ready to be evaluated, and what else its folder holds.
pub struct Loaded {
    /// The model.
    pub model: Box<dyn Evaluable>,
    /// The knobs of its objective.
    pub knobs: Table,
    /// Its teacher, where it had one that still exists.
    pub teacher: Option<Arc<Teacher>>,
    /// How often each token occurs in the training text, where that is known.
    pub token_counts: Option<Vec<u64>>,
}

/// Loads the model in `source`, which is of the objective `O`.
///
/// # Errors
/// When it is of another objective, tokenizer and weights do not belong together, or a file is
/// damaged.
pub fn load<O: Objective>(source: &ModelSource, device: &Device) -> Result<Loaded> {
    let knobs = source.knobs::<O>().ok_or_else(|| {
        BadInput(format!("{} is no model of the objective `{}`", source.describe(), O::NAME))
    })?;

    let (tokenizer, encoder) = (source.tokenizer()?, source.encoder()?);
    let token_counts = source.token_counts(tokenizer.vocabulary_size())?;
    // Unknown counts are taken to be equal, which matters to training masks only.
    let counts = token_counts.clone().unwrap_or_else(|| vec![1; tokenizer.vocabulary_size()]);

    let mut context = Context::new(&tokenizer, counts, encoder.positions, &encoder);
    // Only training masks and those of an evaluation, which has its own context, need n-grams.
    context.ngrams = Some(Arc::default());
    if let ModelSource::Run { config, .. } = source {
        context.teacher = teacher::open(&config.teacher, device).unwrap_or_else(|error| {
            tracing::warn!("what compares with the teacher is left out: {error:#}");
            None
        });
    }

    let teacher = context.teacher.clone();
    let objective = O::new(settings::parse(knobs.clone(), "objective.")?, &context)?;
    let model = objective.init(&encoder, &mut ChaCha8Rng::seed_from_u64(0), device);
    let model = match source {
        ModelSource::Run { .. } => weights::load(model, &source.weights()?)?,
        ModelSource::Hub { .. } => load_parts::<O>(model, source.weights()?, &source.describe())?,
    };

    let workers = Workers::new(device, usize::MAX).context("cannot start threads")?;
    let model = LoadedModel {
        objective: Arc::new(objective),
        encoder,
        model: model.valid(),
        tokenizer: Arc::new(tokenizer),
        device: device.clone(),
        workers: Arc::new(workers),
        is_interrupted: signals::is_interrupted,
    };
    Ok(Loaded { model: Box::new(model), knobs, teacher, token_counts })
}

/// The encoder of the model in `source`, without its heads.
///
/// # Errors
/// When the model has no encoder of this kind, or a file is damaged.
pub fn open_encoder(source: &ModelSource, device: &Device) -> Result<Encoder> {
    let encoder = Encoder::init(&source.encoder()?, &mut ChaCha8Rng::seed_from_u64(0), device);
    let part = |(name, weight): (String, HostTensor)| {
        Some((name.strip_prefix("encoder.")?.to_owned(), weight))
    };
    let weights: Weights = source.weights()?.into_iter().filter_map(part).collect();
    Ok(weights::load(encoder, &weights)
        .map_err(|error| BadInput(format!("{}: its encoder: {error}", source.describe())))?)
}

/// Loads those of `weights` that the model has; parts of other models are left.
fn load_parts<O: Objective>(
    model: O::Model,
    mut weights: Weights,
    described: &str,
) -> Result<O::Model> {
    let wanted = weights::collect(&model);
    if let Some(missing) = wanted.keys().find(|name| !weights.contains_key(*name)) {
        return Err(BadInput(format!(
            "{described} has no `{missing}`, which a model of `{}` needs; train it with pretrain \
             --init",
            O::NAME
        ))
        .into());
    }

    weights.retain(|name, _| wanted.contains_key(name));
    Ok(weights::load(model, &weights)
        .map_err(|error| BadInput(format!("{described}: config.json and weights: {error}")))?)
}
