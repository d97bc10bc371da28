//! Initial weights from another model.

use std::path::Path;

use anyhow::Result;
use checkpoint::{Weights, weights};
use corpus::Tokenizer;
use objective::Objective;

use super::source::find;
use super::vocabulary::{self, NewTokens};
use crate::exit::BadInput;

/// Replaces the initial weights of `model` by those in `folder` that it starts from, see
/// [`Objective::init_sources`]. Tokens that `tokenizer` has beyond those of the folder's start as
/// the mean of the pieces that they were before.
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
    let own = source.tokenizer()?;
    let new = tokenizer.new_ids(&own).ok_or_else(|| {
        refuse(
            "its tokens are others than those of corpus.tokenizer, so that its weights would mean \
             nothing; leave corpus.tokenizer out to take its tokenizer, or give one that begins \
             with the same tokens",
        )
    })?;
    let new = NewTokens::new(tokenizer, &own, new);

    let mut available = source.weights()?;
    if let Some(knobs) = source.knobs::<O>() {
        let other: O::Config = settings::parse(knobs, "objective.")?;
        available.retain(|name, _| objective.transfers(name, &other));
    }

    let mut initial = weights::collect(&model);
    let fresh =
        take_over(objective, &mut initial, &available, &new).map_err(|error| refuse(&error))?;

    let layers = |name: &&String| name.starts_with("encoder.stack.");
    if initial.keys().filter(layers).count() == fresh.iter().filter(layers).count() {
        let reason = "no parameter of its layers has a name of this model's; it was written by \
                      another version";
        return Err(refuse(reason).into());
    }

    if !fresh.is_empty() {
        tracing::warn!("--init {}: new weights for {}", folder.display(), fresh.join(", "));
    }
    if let Some(told) = new.told() {
        tracing::warn!("--init {}: {told}", folder.display());
    }

    Ok(weights::load(model, &initial)?)
}

/// Replaces those of the `initial` weights that `available` has a source for; the names of the
/// others. Tensors over the vocabulary get rows for the `new` tokens.
fn take_over<O: Objective>(
    objective: &O,
    initial: &mut Weights,
    available: &Weights,
    new: &NewTokens,
) -> Result<Vec<String>, String> {
    let mut fresh = Vec::new();
    let tables = vocabulary::tables(available);

    for (name, weight) in initial {
        let sources = objective.init_sources(name);
        let source = sources.iter().find(|source| available.contains_key(*source));
        let Some((source, found)) = source.and_then(|name| available.get_key_value(name)) else {
            fresh.push(name.clone());
            continue;
        };

        if tables.contains(source) && new.take_over(weight, found) {
            continue;
        }
        if found.shape != weight.shape {
            return Err(format!(
                "`{name}` has the shape {:?} there and {:?} here; give the encoder the same shape",
                found.shape, weight.shape
            ));
        }
        weight.clone_from(found);
    }

    Ok(fresh)
}
