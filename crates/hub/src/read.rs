//! Reading a folder that transformers wrote.

use std::path::Path;

use checkpoint::{HostTensor, Weights};

use crate::config::HubConfig;
use crate::error::{Error, Result};
use crate::family::{Architecture, Family};
use crate::model::HubModel;
use crate::names::Name;
use crate::{config, names, tensors};

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
    let mut tensors = tensors::read(folder)?;
    let family = config.family;
    let prefix = prefix(folder, family, &tensors)?;

    let architecture = match config.architecture {
        // The released BERT claims to be a BertForMaskedLM, and has the heads of both.
        Some(Architecture::MaskedLm) if has_heads(&config, Architecture::PreTraining, &tensors) => {
            Architecture::PreTraining
        }
        Some(architecture) => architecture,
        None => detect(&config, &tensors),
    };

    let mut weights = Weights::new();
    let needed = [
        names::encoder(family, &config.encoder, &prefix),
        names::heads(family, architecture, &config.encoder),
    ];
    for name in needed.concat() {
        if !take(folder, &name, &mut tensors, &mut weights)? {
            let class = architecture.class(family);
            let reason = format!("is missing; a {class} needs it, and config.json says it is one");
            return Err(of_tensor(folder, &name.theirs, &reason));
        }
    }
    for name in names::extras(family, architecture, &prefix) {
        take(folder, &name, &mut tensors, &mut weights)?;
    }

    check_tied(folder, architecture, &tensors, &weights)?;
    name_classes(&mut config, architecture, &weights);
    let unused = tensors.into_keys().filter(|name| !names::is_redundant(name)).collect();
    let model = HubModel { config, architecture, weights, unused };
    model.check_head()?;
    Ok(model)
}

fn of_tensor(folder: &Path, tensor: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::Data(format!("{}: tensor `{tensor}` {reason}", folder.display()))
}

/// Prefix of the names of the encoder's tensors: the family's, or nothing.
fn prefix(folder: &Path, family: Family, tensors: &Weights) -> Result<String> {
    let table = family.table();
    let has_table = |prefix: &String| tensors.contains_key(&format!("{prefix}{table}"));
    if let Some(prefix) = [family.prefix(), String::new()].into_iter().find(has_table) {
        return Ok(prefix);
    }

    let other = tensors.keys().find_map(|name| name.strip_suffix(table));
    let hint = other.map_or_else(String::new, |other| {
        format!("; the weights seem to be of `{}`", other.trim_end_matches('.'))
    });
    Err(Error::Data(format!(
        "{}: config.json says {family}, but there is no tensor `{}{table}`{hint}",
        folder.display(),
        family.prefix()
    )))
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
