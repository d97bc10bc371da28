//! Initial weights from another model.

use std::path::Path;

use anyhow::Result;
use checkpoint::{Weights, weights};
use corpus::Tokenizer;
use objective::Objective;

use super::source::find;
use crate::exit::BadInput;

/// Replaces the initial weights of `model` by those in `folder` that it starts from, see
/// [`Objective::init_sources`].
///
/// # Errors
/// When the folder holds no model, its tokens are others than those of `tokenizer`, or a parameter
/// of the same name has another shape.
pub fn initialise<O: Objective>(
    objective: &O,
    model: O::Model,
    folder: &Path,
    tokenizer: &Tokenizer,
) -> Result<O::Model> {
    let refuse = |reason: &str| BadInput(format!("--init {}: {reason}", folder.display()));
    let source = find(folder)?;
    if !source.tokenizer()?.has_tokens_of(tokenizer) {
        let reason = "its tokens are others than those of corpus.tokenizer, so that its weights \
                      would mean nothing; leave corpus.tokenizer out to take its tokenizer";
        return Err(refuse(reason).into());
    }

    let mut available = source.weights()?;
    if let Some(knobs) = source.knobs::<O>() {
        let other: O::Config = settings::parse(knobs, "objective.")?;
        available.retain(|name, _| objective.transfers(name, &other));
    }

    let mut initial = weights::collect(&model);
    let fresh = take_over(objective, &mut initial, &available).map_err(|error| refuse(&error))?;

    let layers = |name: &&String| name.starts_with("encoder.stack.");
    if initial.keys().filter(layers).count() == fresh.iter().filter(layers).count() {
        let reason = "no parameter of its layers has a name of this model's; it was written by \
                      another version";
        return Err(refuse(reason).into());
    }

    if !fresh.is_empty() {
        tracing::warn!("--init {}: new weights for {}", folder.display(), fresh.join(", "));
    }

    Ok(weights::load(model, &initial)?)
}

/// Replaces those of the `initial` weights that `available` has a source for; the names of the
/// others.
fn take_over<O: Objective>(
    objective: &O,
    initial: &mut Weights,
    available: &Weights,
) -> Result<Vec<String>, String> {
    let mut fresh = Vec::new();

    for (name, weight) in initial {
        let sources = objective.init_sources(name);
        match sources.iter().find_map(|source| available.get(source)) {
            Some(found) if found.shape == weight.shape => weight.clone_from(found),
            Some(found) => {
                return Err(format!(
                    "`{name}` has the shape {:?} there and {:?} here; give the encoder the same \
                     shape",
                    found.shape, weight.shape
                ));
            }
            None => fresh.push(name.clone()),
        }
    }

    Ok(fresh)
}
