//! Reading Hugging Face folders: `config.json`, `model.safetensors` and a tokenizer.

mod config;
mod names;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use safetensors::SafeTensors;
use trunk::EncoderConfig;

use crate::exit::BadInput;
use crate::train::weights::{HostTensor, Weights};

pub use config::Family;

/// A masked language model of a Hugging Face folder, in this program's names and layouts.
#[derive(Debug)]
pub struct HubModel {
    /// Shape of the encoder.
    pub encoder: EncoderConfig,
    /// The weights of `mlm::MlmModel`.
    pub weights: Weights,
    /// Tensors of the file that a masked language model has no use for, such as a pooler.
    pub unused: Vec<String>,
}

/// Whether `folder` looks like one that transformers wrote.
pub fn is_hub_folder(folder: &Path) -> bool {
    folder.join("config.json").is_file()
}

/// Reads a BERT or RoBERTa with a masked-language-model head.
///
/// # Errors
/// Names the file, key or tensor that is missing, of a wrong shape, or not supported.
pub fn read(folder: &Path) -> Result<HubModel> {
    let (family, encoder) = config::read(&folder.join("config.json"))?;
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).map_err(|error| {
        BadInput(format!("{}: {error}; the weights must stand in model.safetensors", path.display()))
    })?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| BadInput(format!("{} is damaged: {error}", path.display())))?;
    let mut tensors: BTreeMap<String, _> = file.tensors().into_iter().collect();
    let mut weights = Weights::new();
    for name in names::of(family, &encoder) {
        let view = name
            .theirs
            .iter()
            .find_map(|theirs| tensors.remove(theirs))
            .ok_or_else(|| BadInput(format!("{} has no tensor `{}`", path.display(), name.theirs[0])))?;
        let tensor = HostTensor::read(&view)
            .map_err(|error| BadInput(format!("{}: tensor `{}` {error}", path.display(), name.theirs[0])))?;
        weights.insert(name.ours, if name.transposed { transpose(&tensor)? } else { tensor });
    }
    // What is tied or fixed may be there again.
    let unused = tensors.into_keys().filter(|name| !names::is_redundant(name)).collect();
    Ok(HubModel { encoder, weights, unused })
}

/// Linear weights are `[out, in]` there and `[in, out]` here.
fn transpose(tensor: &HostTensor) -> Result<HostTensor, BadInput> {
    let [rows, columns] = tensor.shape[..] else {
        return Err(BadInput(format!("a linear weight has two axes, not {:?}", tensor.shape)));
    };
    let at = |i: usize| tensor.values[(i % rows) * columns + i / rows];
    Ok(HostTensor { shape: vec![columns, rows], values: (0..rows * columns).map(at).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_weights_are_turned() {
        let tensor = HostTensor { shape: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        let turned = transpose(&tensor).expect("two axes");
        assert_eq!((turned.shape, turned.values), (vec![3, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    }
}
