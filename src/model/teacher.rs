//! A teacher by its folder.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use burn::module::Module;
use burn::tensor::Device;
use checkpoint::{Weights, weights};
use objective::{Teacher, TeacherModel};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::{Encoder, EncoderConfig, MlmHead};

use super::source::find;

/// The encoder in `folder` and its masked-language-model head, if it has one, on `device`; none
/// where the path is empty.
///
/// # Errors
/// When there is no model, or it has no encoder.
pub fn open(folder: &Path, device: &Device) -> Result<Option<Arc<Teacher>>> {
    if folder.as_os_str().is_empty() {
        return Ok(None);
    }

    let context = || format!("--teacher {}", folder.display());
    let source = find(folder).with_context(context)?;
    let config = source.encoder()?;
    let teacher = assemble(&config, source.weights()?, device).with_context(context)?;
    Ok(Some(Arc::new(Teacher { config, model: teacher })))
}

/// A teacher with those of `weights` that it has.
fn assemble(
    config: &EncoderConfig,
    mut weights: Weights,
    device: &Device,
) -> checkpoint::Result<TeacherModel> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let encoder = Encoder::init(config, &mut rng, device);
    let head = weights
        .contains_key("head.transform.weight")
        .then(|| MlmHead::init(config, &mut rng, device));
    let teacher = TeacherModel { encoder, head };

    let wanted = weights::collect(&teacher);
    weights.retain(|name, _| wanted.contains_key(name));
    Ok(weights::load(teacher, &weights)?.valid())
}
