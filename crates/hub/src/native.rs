//! An imported model in this project's form: `model.toml`, `model.safetensors` under this project's
//! names, and `tokenizer.json`.

use std::fs;
use std::path::Path;

use checkpoint::weights;
use corpus::Tokenizer;
use serde::{Deserialize, Serialize};
use trunk::EncoderConfig;

use crate::config::HubConfig;
use crate::error::{Error, Result};
use crate::family::{Architecture, Family};
use crate::model::HubModel;
use crate::shapes;
use crate::write::make_empty_folder;

const DESCRIPTION: &str = "model.toml";

/// The content of `model.toml`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    family: Family,
    architecture: Architecture,
    labels: Vec<String>,
    regression: bool,
    head_dropout: f64,
    mean_pooling: bool,
    encoder: EncoderConfig,
}

/// Whether `folder` was written by [`write_native`].
pub fn is_native(folder: &Path) -> bool {
    folder.join(DESCRIPTION).is_file()
}

/// Reads an imported model.
///
/// # Errors
/// When a file is missing or damaged.
pub fn read_native(folder: &Path) -> Result<HubModel> {
    let path = folder.join(DESCRIPTION);
    let text = fs::read_to_string(&path).map_err(|error| Error::of_file(&path, error))?;
    let Description {
        family,
        architecture,
        labels,
        regression,
        head_dropout,
        mean_pooling,
        encoder,
    } = toml::from_str(&text).map_err(|error| Error::of_file(&path, error))?;

    let config = HubConfig {
        family,
        architecture: Some(architecture),
        encoder,
        labels,
        regression,
        head_dropout,
        mean_pooling,
    };
    let weights = weights::read(&folder.join("model.safetensors"))?;
    let model = HubModel { config, architecture, weights, unused: Vec::new() };
    shapes::check(&model, &[], &folder.display().to_string())?;
    Ok(model)
}

/// Writes `model` into a new folder.
///
/// # Errors
/// When the folder is not empty or cannot be written.
pub fn write_native(folder: &Path, model: &HubModel, tokenizer: &Tokenizer) -> Result<()> {
    make_empty_folder(folder)?;
    let HubConfig { family, labels, regression, head_dropout, mean_pooling, encoder, .. } =
        model.config.clone();
    let description = Description {
        family,
        architecture: model.architecture,
        labels,
        regression,
        head_dropout,
        mean_pooling,
        encoder,
    };
    let description = toml::to_string(&description).expect("a description is a TOML table");

    let put = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes)
            .map_err(checkpoint::Error::io(format!("cannot write {}", folder.display())))
    };
    put(DESCRIPTION, description.as_bytes())?;
    put("model.safetensors", &weights::bytes(&model.weights)?)?;
    Ok(tokenizer.save(&folder.join("tokenizer.json"))?)
}
