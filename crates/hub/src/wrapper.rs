//! What wrappers of a model put before the names of its tensors.

use std::path::Path;

use checkpoint::Weights;

use crate::error::{Error, Result};
use crate::family::Family;

/// PyTorch's `DataParallel` and `compile`, training loops that keep a model in a field, and
/// Sentence Transformers.
const WRAPPERS: [&str; 5] = ["module.", "_orig_mod.", "model.", "auto_model.", "0."];

/// The tensors of the folder under the names without a wrapper's prefix, and the prefix of the
/// encoder's: the family's, or nothing.
///
/// # Errors
/// When there is no token table of the family, or there are several.
pub fn unwrap(folder: &Path, family: Family, tensors: Weights) -> Result<(Weights, String)> {
    let table = family.table();
    let prefixes: Vec<&str> = tensors.keys().filter_map(|name| name.strip_suffix(table)).collect();
    for prefix in [family.prefix(), String::new()] {
        if prefixes.contains(&prefix.as_str()) {
            return Ok((tensors, prefix));
        }
    }

    let found: Vec<(String, String)> =
        prefixes.iter().filter_map(|prefix| split(prefix, family)).collect();
    let [(wrapper, prefix)] = found.as_slice() else {
        let hint = match prefixes.as_slice() {
            [] => String::new(),
            [other] => format!("; the weights seem to be of `{}`", other.trim_end_matches('.')),
            _ => format!("; there are several: {}", prefixes.join(", ")),
        };
        return Err(Error::Data(format!(
            "{}: config.json says {family}, but there is no tensor `{}{table}`{hint}",
            folder.display(),
            family.prefix()
        )));
    };

    tracing::warn!(
        "{}: the tensors' names begin with `{wrapper}`, which is left out",
        folder.display()
    );
    let bare = |name: String| match name.strip_prefix(wrapper.as_str()) {
        Some(bare) => bare.to_owned(),
        None => name,
    };
    let tensors = tensors.into_iter().map(|(name, tensor)| (bare(name), tensor)).collect();
    Ok((tensors, prefix.clone()))
}

/// The prefix of the token table as that of wrappers and that of the family or nothing; none if it
/// has another part.
fn split(prefix: &str, family: Family) -> Option<(String, String)> {
    let of_family = family.prefix();
    let (wrapper, prefix) = match prefix.strip_suffix(&of_family) {
        Some(wrapper) => (wrapper, of_family.as_str()),
        None => (prefix, ""),
    };

    let mut rest = wrapper;
    while let Some(shorter) = WRAPPERS.iter().find_map(|known| rest.strip_prefix(known)) {
        rest = shorter;
    }
    rest.is_empty().then(|| (wrapper.to_owned(), prefix.to_owned()))
}

#[cfg(test)]
mod tests {
    use checkpoint::HostTensor;

    use super::*;

    fn names(family: Family, names: &[&str]) -> Result<(Vec<String>, String)> {
        let tensor = HostTensor { shape: vec![1], values: vec![0.0] };
        let tensors = names.iter().map(|name| ((*name).to_owned(), tensor.clone())).collect();
        let (tensors, prefix) = unwrap(Path::new("there"), family, tensors)?;
        Ok((tensors.into_keys().collect(), prefix))
    }

    const TABLE: &str = "embeddings.word_embeddings.weight";

    #[test]
    fn wrappers_are_taken_off_whatever_they_wrap() {
        for wrapper in ["module.", "_orig_mod.", "module.model.", "0.auto_model."] {
            for prefix in ["bert.", ""] {
                let table = format!("{wrapper}{prefix}{TABLE}");
                let bias = format!("{wrapper}cls.predictions.bias");
                let (found, of_encoder) = names(Family::Bert, &[&table, &bias]).expect("unwrapped");
                assert_eq!(of_encoder, prefix);
                assert!(found.contains(&format!("{prefix}{TABLE}")), "{found:?}");
                assert!(found.contains(&"cls.predictions.bias".to_owned()), "{found:?}");
            }
        }
    }

    #[test]
    fn the_prefix_of_a_family_is_no_wrapper() {
        let table = "model.embeddings.tok_embeddings.weight";
        let (found, prefix) = names(Family::Modernbert, &[table]).expect("read");
        assert_eq!((found, prefix.as_str()), (vec![table.to_owned()], "model."));
    }

    #[test]
    fn another_family_or_two_models_are_refused() {
        let refuse = |tensors: &[&str]| names(Family::Bert, tensors).expect_err("no").to_string();
        let other = format!("roberta.{TABLE}");
        assert!(refuse(&[&other]).ends_with("the weights seem to be of `roberta`"));
        let two = [format!("module.bert.{TABLE}"), format!("model.bert.{TABLE}")];
        assert!(
            refuse(&[&two[0], &two[1]]).contains("there are several: model.bert., module.bert.")
        );
        assert!(
            refuse(&["x"]).ends_with("there is no tensor `bert.embeddings.word_embeddings.weight`")
        );
    }
}
