//! Reading a folder that transformers wrote.

use std::path::Path;

use checkpoint::{HostTensor, Weights};

use crate::config::HubConfig;
use crate::error::{Error, Result};
use crate::family::{Architecture, Family};
use crate::model::HubModel;
use crate::names::Name;
use crate::{config, names, shapes, tensors, wrapper};

/// Whether `folder` looks like one written by transformers.
pub fn is_hub_folder(folder: &Path) -> bool {
    folder.join("config.json").is_file()
}

/// Reads a model of any of the known families and classes.
///
/// # Errors
/// Names the file, field or tensor that is missing, damaged, or not supported.
pub fn read(folder: &Path) -> Result<HubModel> {
    let mut config = config::read(&folder.join("config.json"))?;
    let family = config.family;
    let (mut tensors, prefix) = wrapper::unwrap(folder, family, tensors::read(folder)?)?;
    name_bias(folder, family, &mut tensors);
    let architecture = choose(folder, &config, &tensors, &prefix);

    let mut weights = Weights::new();
    let needed = [
        names::encoder(family, &config.encoder, &prefix),
        names::heads(family, architecture, &config.encoder),
    ]
    .concat();
    for name in &needed {
        if !take(folder, name, &mut tensors, &mut weights)? {
            let class = architecture.class(family);
            let reason = format!("is missing; a {class} needs it, and config.json says it is one");
            return Err(of_tensor(folder, &name.theirs, &reason));
        }
    }
    let extras = names::extras(family, architecture, &prefix);
    for name in &extras {
        take(folder, name, &mut tensors, &mut weights)?;
    }

    check_tied(folder, architecture, &tensors, &weights)?;
    name_classes(&mut config, architecture, &weights);
    let unused = tensors.into_keys().filter(|name| !names::is_redundant(name)).collect();
    let model = HubModel { config, architecture, weights, unused };
    shapes::check(&model, &[needed, extras].concat(), &folder.display().to_string())?;
    model.check_head()?;
    Ok(model)
}

/// Gives the bias over the vocabulary its name where the file has it under that of the output layer
/// alone.
fn name_bias(folder: &Path, family: Family, tensors: &mut Weights) {
    let Some([name, other]) = names::vocabulary_bias(family) else { return };
    match (tensors.get(name), tensors.get(other)) {
        (None, Some(_)) => {
            let bias = tensors.remove(other).expect("it is there");
            tensors.insert(name.to_owned(), bias);
        }
        (Some(bias), Some(repeated)) if bias != repeated => {
            tracing::warn!(
                "{}: `{name}` and `{other}` differ; the first is taken, as in transformers 5",
                folder.display()
            );
        }
        _ => {}
    }
}

/// The class of the model: that of config.json if the file has its heads, else the one whose heads
/// it has, which is told. Where it has a part of the heads of config.json's class, that class is
/// kept, and the missing part is an error.
fn choose(folder: &Path, config: &HubConfig, tensors: &Weights, prefix: &str) -> Architecture {
    let Some(named) = config.architecture else { return detect(config, tensors) };
    if named == Architecture::MaskedLm && has_heads(config, Architecture::PreTraining, tensors) {
        // The released BERT claims to be a BertForMaskedLM, and has the heads of both.
        return Architecture::PreTraining;
    }
    if has_heads(config, named, tensors) {
        return named;
    }

    let found = detect(config, tensors);
    let (family, encoder) = (config.family, &config.encoder);
    let known =
        [names::heads(family, found, encoder), names::extras(family, found, prefix)].concat();
    let is_left = |name: &Name| {
        tensors.contains_key(&name.theirs) && !known.iter().any(|it| it.theirs == name.theirs)
    };
    if names::heads(family, named, encoder).iter().any(is_left) {
        return named;
    }
    tracing::warn!(
        "{}: config.json says {}, but the file holds a {}; it is read as one",
        folder.display(),
        named.class(family),
        found.class(family)
    );
    found
}

fn of_tensor(folder: &Path, tensor: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::Data(format!("{}: tensor `{tensor}` {reason}", folder.display()))
}

/// Moves one tensor of the file to `weights`, under this project's name. Returns false if the file
/// does not have it.
fn take(folder: &Path, name: &Name, tensors: &mut Weights, weights: &mut Weights) -> Result<bool> {
    let found = match name.part {
        Some((i, count)) => {
            let part = tensors.get(&name.theirs).map(|tensor| part(tensor, i, count)).transpose();
            if i + 1 == count {
                tensors.remove(&name.theirs);
            }
            part.map_err(|error| of_tensor(folder, &name.theirs, &error))?
        }
        None => tensors.remove(&name.theirs),
    };
    let Some(mut tensor) = found else { return Ok(false) };
    if name.transposed {
        tensor = tensor.transposed().map_err(|error| of_tensor(folder, &name.theirs, &error))?;
    }
    weights.insert(name.ours.clone(), tensor);
    Ok(true)
}

/// The rows of part `i` of `count` parts of a tensor.
fn part(
    HostTensor { shape, values }: &HostTensor,
    i: usize,
    count: usize,
) -> std::result::Result<HostTensor, &'static str> {
    if !shape.first().is_some_and(|rows| rows.is_multiple_of(count)) {
        return Err("cannot be divided into its parts");
    }
    let (mut shape, len) = (shape.clone(), values.len() / count);
    shape[0] /= count;
    Ok(HostTensor { shape, values: values[i * len..(i + 1) * len].to_vec() })
}

/// Refuses a head whose output layer is not the token table.
fn check_tied(
    folder: &Path,
    architecture: Architecture,
    rest: &Weights,
    weights: &Weights,
) -> Result<()> {
    if !matches!(architecture, Architecture::MaskedLm | Architecture::PreTraining) {
        return Ok(());
    }

    let table = weights.get("encoder.embeddings.tokens");
    let untied = rest.iter().find(|(name, tensor)| names::is_tied(name) && Some(*tensor) != table);
    match untied {
        Some((name, _)) => Err(of_tensor(
            folder,
            name,
            &"is another than the token table (tie_word_embeddings = false); heads with a table of \
              their own are not here",
        )),
        None => Ok(()),
    }
}

/// Gives classes without labels transformers' default names, which its files leave out.
fn name_classes(config: &mut HubConfig, architecture: Architecture, weights: &Weights) {
    let has_classes = matches!(architecture, Architecture::Sequence | Architecture::Token);
    if has_classes && config.labels.is_empty() {
        let classes = weights.get("task.output.bias").map_or(0, |bias| bias.values.len());
        config.labels = (0..classes).map(|class| format!("LABEL_{class}")).collect();
        config.regression = config.regression || classes == 1;
    }
}

/// Which heads a file without `architectures` has.
fn detect(config: &HubConfig, tensors: &Weights) -> Architecture {
    let known = [
        Architecture::PreTraining,
        Architecture::MaskedLm,
        Architecture::Sequence,
        Architecture::Question,
        Architecture::Token,
        Architecture::Discriminator,
    ];
    known.into_iter().find(|it| has_heads(config, *it, tensors)).unwrap_or(Architecture::Encoder)
}

/// Whether the family has the class, and the file every tensor of its heads.
fn has_heads(config: &HubConfig, architecture: Architecture, tensors: &Weights) -> bool {
    let family = config.family;
    architecture.is_of(family)
        && names::heads(family, architecture, &config.encoder)
            .iter()
            .all(|name| tensors.contains_key(&name.theirs))
}
