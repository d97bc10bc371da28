//! An imported model: `model.toml`, `model.safetensors` in this program's names, `tokenizer.json`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use corpus::Tokenizer;
use serde::{Deserialize, Serialize};
use trunk::EncoderConfig;

use super::{Architecture, Family, HubConfig, HubModel, empty_folder};
use crate::exit::BadInput;
use crate::train::weights;

const DESCRIPTION: &str = "model.toml";

/// What `model.toml` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    family: Family,
    architecture: Architecture,
    labels: Vec<String>,
    regression: bool,
    head_dropout: f64,
    encoder: EncoderConfig,
}

/// Whether `folder` is one that [`write_native`] wrote.
pub fn is_native(folder: &Path) -> bool {
    folder.join(DESCRIPTION).is_file()
}

/// Reads an imported model.
///
/// # Errors
/// When a file is missing or damaged.
pub fn read_native(folder: &Path) -> Result<HubModel, BadInput> {
    let path = folder.join(DESCRIPTION);
    let bad = |error: &dyn std::fmt::Display| BadInput(format!("{}: {error}", path.display()));
    let text = fs::read_to_string(&path).map_err(|error| bad(&error))?;
    let Description { family, architecture, labels, regression, head_dropout, encoder } =
        toml::from_str(&text).map_err(|error| bad(&error))?;
    let config = HubConfig {
        family,
        architecture: Some(architecture),
        encoder,
        labels,
        regression,
        head_dropout,
    };
    let weights = weights::read(&folder.join("model.safetensors"))?;
    Ok(HubModel { config, architecture, weights, unused: Vec::new() })
}

/// Writes `model` into a new folder.
///
/// # Errors
/// When the folder is not empty or cannot be written.
pub fn write_native(folder: &Path, model: &HubModel, tokenizer: &Tokenizer) -> Result<()> {
    empty_folder(folder)?;
    let HubConfig { family, labels, regression, head_dropout, encoder, .. } = model.config.clone();
    let description = Description {
        family,
        architecture: model.architecture,
        labels,
        regression,
        head_dropout,
        encoder,
    };
    let context = || format!("cannot write {}", folder.display());
    fs::write(folder.join(DESCRIPTION), toml::to_string(&description)?).with_context(context)?;
    fs::write(folder.join("model.safetensors"), weights::bytes(&model.weights)?)
        .with_context(context)?;
    Ok(tokenizer.save(&folder.join("tokenizer.json"))?)
}
