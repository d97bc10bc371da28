//! The tensors of a Hugging Face folder: one safetensors file or several, or one or several that
//! PyTorch pickled.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use checkpoint::weights::{HostTensor, Weights, decode};
use pytorch_reader::{DType, PytorchReader};
use safetensors::SafeTensors;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

const SAFETENSORS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";
const PICKLE_INDEX: &str = "pytorch_model.bin.index.json";
/// Weights of other programs.
const FOREIGN: [&str; 4] = ["tf_model.h5", "flax_model.msgpack", "model.ckpt.index", "model.onnx"];

/// Every tensor of the folder by its name in the file, norms under their modern names. A pickle is
/// parsed, never executed.
///
/// # Errors
/// When there is no such file, or one is damaged, states wrong sizes, or holds elements that are
/// not floats.
pub fn read(folder: &Path) -> Result<Weights> {
    let tensors = if folder.join(SAFETENSORS).is_file() {
        safetensors(&folder.join(SAFETENSORS))?
    } else if folder.join(INDEX).is_file() {
        sharded(folder, INDEX, safetensors)?
    } else if folder.join(PICKLE).is_file() {
        pickle(&folder.join(PICKLE))?
    } else if folder.join(PICKLE_INDEX).is_file() {
        sharded(folder, PICKLE_INDEX, pickle)?
    } else {
        return Err(no_weights(folder));
    };

    Ok(tensors.into_iter().map(|(name, tensor)| (modern(name), tensor)).collect())
}

/// The error for a folder without weights.
fn no_weights(folder: &Path) -> Error {
    let hint = match FOREIGN.iter().find(|name| folder.join(name).is_file()) {
        Some(name) => format!(
            "; {name} is of another program: convert it with transformers 4, such as with \
             `AutoModel.from_pretrained(DIR, from_tf=True).save_pretrained(DIR)`"
        ),
        None => String::new(),
    };
    Error::Data(format!(
        "{} has no weights: expected {SAFETENSORS} or {PICKLE}, or {INDEX} or {PICKLE_INDEX} with \
         their files{hint}",
        folder.display()
    ))
}

/// The modern name of a tensor: old checkpoints converted from TensorFlow have `gamma` and `beta`.
fn modern(name: String) -> String {
    match (name.strip_suffix(".gamma"), name.strip_suffix(".beta")) {
        (Some(norm), _) => format!("{norm}.weight"),
        (_, Some(norm)) => format!("{norm}.bias"),
        _ => name,
    }
}

/// Whether a tensor holds no parameter, such as the buffer of position numbers, whose elements are
/// integers.
fn is_buffer(name: &str) -> bool {
    name.ends_with("position_ids") || name.ends_with("token_type_ids")
}

/// The parameters in a safetensors file.
fn safetensors(path: &Path) -> Result<Weights> {
    let bytes = fs::read(path)
        .map_err(|error| Error::Data(format!("cannot read {}: {error}", path.display())))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| Error::Data(format!("{} is damaged: {error}", path.display())))?;

    let parameters = file.tensors().into_iter().filter(|(name, _)| !is_buffer(name));
    let read = |(name, view)| match HostTensor::read(&view) {
        Ok(tensor) => Ok((name, tensor)),
        Err(error) => Err(Error::Data(format!("{}: tensor `{name}` {error}", path.display()))),
    };
    parameters.map(read).collect()
}

/// The parameters in the files that the index lists, each read by `read`.
fn sharded(folder: &Path, index: &str, read: fn(&Path) -> Result<Weights>) -> Result<Weights> {
    let path = folder.join(index);
    let bad = |error: &dyn std::fmt::Display| Error::Data(format!("{}: {error}", path.display()));

    let text = fs::read_to_string(&path).map_err(|error| bad(&error))?;
    let index: Map<String, Value> = serde_json::from_str(&text).map_err(|error| bad(&error))?;
    let map: BTreeMap<String, String> = index
        .get("weight_map")
        .and_then(|map| serde_json::from_value(map.clone()).ok())
        .ok_or_else(|| bad(&"`weight_map` must map the name of each tensor to its file"))?;

    let files: BTreeSet<&String> = map.values().collect();
    let mut tensors = Weights::new();
    for file in files {
        if Path::new(file).file_name().and_then(|name| name.to_str()) != Some(file.as_str()) {
            return Err(bad(&format!("`{file}` is no name of a file in the folder")));
        }
        tensors.extend(read(&folder.join(file))?);
    }

    match map.keys().find(|name| !is_buffer(name) && !tensors.contains_key(*name)) {
        Some(name) => Err(bad(&format!(
            "tensor `{name}` is not in the file it is said to be in, `{}`",
            map[name]
        ))),
        None => Ok(tensors),
    }
}

/// The parameters in a file that PyTorch pickled.
fn pickle(path: &Path) -> Result<Weights> {
    let convert = "if transformers can load it, save it again with \
                   `AutoModel.from_pretrained(DIR).save_pretrained(DIR)`, \
                   which writes model.safetensors";
    let bad = |error: &dyn std::fmt::Display| {
        Error::Data(format!("{}: {error}; {convert}", path.display()))
    };

    let reader = PytorchReader::new(path).map_err(|error| bad(&error))?;
    let mut tensors = Weights::new();
    for (name, tensor) in reader.tensors() {
        if is_buffer(name) {
            continue;
        }

        let bytes = tensor.read().map_err(|error| bad(&error))?;
        let dtype = match tensor.dtype() {
            DType::F32 => safetensors::Dtype::F32,
            DType::F16 => safetensors::Dtype::F16,
            DType::BF16 => safetensors::Dtype::BF16,
            other => {
                return Err(bad(&format!(
                    "tensor `{name}` holds {other:?}, not 16- or 32-bit floats"
                )));
            }
        };

        let values =
            decode(dtype, &bytes).map_err(|error| bad(&format!("tensor `{name}` {error}")))?;
        tensors.insert(name.clone(), HostTensor { shape: tensor.shape().to_vec(), values });
    }
    Ok(tensors)
}
