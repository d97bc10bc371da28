//! Writing a folder as transformers reads it.

use std::fs;
use std::path::Path;

use checkpoint::{HostTensor, Weights, weights};
use corpus::Tokenizer;

use crate::error::{Error, Result};
use crate::family::Architecture;
use crate::model::HubModel;
use crate::{config, names, tokenizer as tokenizer_files};

/// Writes `config.json`, `model.safetensors` and the tokenizer, as transformers reads them.
///
/// # Errors
/// When the folder is not empty or cannot be written.
pub fn write(folder: &Path, model: &HubModel, tokenizer: &Tokenizer) -> Result<()> {
    let specials = tokenizer_files::ids(tokenizer);
    let model = &model.clone().numbered_from(specials.pad as usize + 1);
    let tensors = weights::bytes(&tensors(model)?)?;
    let config = config::write(&model.config, model.architecture, specials);

    make_empty_folder(folder)?;
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        let failed = checkpoint::Error::io(format!("cannot write {}", path.display()));
        fs::write(&path, bytes).map_err(failed)
    };
    put("config.json", config.as_bytes())?;
    put("model.safetensors", &tensors)?;
    for (name, text) in tokenizer_files::files(tokenizer, model) {
        put(name, text.as_bytes())?;
    }
    Ok(())
}

/// The tensors of the file under transformers' names.
fn tensors(model: &HubModel) -> Result<Weights> {
    let family = model.config.family;
    let prefix = match model.architecture {
        Architecture::Encoder => String::new(),
        _ => family.prefix(),
    };
    let known = [
        names::encoder(family, &model.config.encoder, &prefix),
        names::heads(family, model.architecture, &model.config.encoder),
        names::extras(family, model.architecture, &prefix),
    ]
    .concat();

    // A pooler that no part of the class computes with is left out.
    let pooled = matches!(model.architecture, Architecture::Encoder | Architecture::PreTraining);
    let mut tensors = Weights::new();
    for name in known.into_iter().filter(|name| pooled || !name.ours.starts_with("pair.pooler.")) {
        let Some(tensor) = model.weights.get(&name.ours) else { continue };
        let tensor = if name.transposed { tensor.transposed()? } else { HostTensor::clone(tensor) };
        match (name.part, tensors.get_mut(&name.theirs)) {
            (Some(_), Some(HostTensor { shape, values })) => {
                shape[0] += tensor.shape[0];
                values.extend(tensor.values);
            }
            _ => drop(tensors.insert(name.theirs, tensor)),
        }
    }
    Ok(tensors)
}

/// Makes a folder, which must be empty if it exists.
pub fn make_empty_folder(folder: &Path) -> Result<()> {
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let message = format!("{} is not empty; give another folder", folder.display());
        return Err(Error::Data(message));
    }
    let failed = checkpoint::Error::io(format!("cannot make the folder {}", folder.display()));
    Ok(fs::create_dir_all(folder).map_err(failed)?)
}
