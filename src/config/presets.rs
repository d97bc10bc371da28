//! The compiled-in presets.

use toml::Table;

use crate::exit::BadInput;

/// Name and text of every preset.
pub const PRESETS: &[(&str, &str)] = &[
    ("tiny", include_str!("../presets/tiny.toml")),
    ("mini", include_str!("../presets/mini.toml")),
    ("small", include_str!("../presets/small.toml")),
    ("roberta-tiny", include_str!("../presets/roberta-tiny.toml")),
    ("demo", include_str!("../presets/demo.toml")),
];

/// The preset called `name`.
///
/// # Errors
/// When there is none, with the known names.
pub fn preset(name: &str) -> Result<Table, BadInput> {
    let found = PRESETS.iter().find(|(known, _)| *known == name);
    let (_, text) = found.ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
        BadInput(format!("no preset `{name}`; known: {}", names.join(", ")))
    })?;
    Ok(text.parse().expect("a preset is valid TOML"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, RunConfig};

    #[test]
    fn every_preset_is_a_valid_configuration() {
        for (name, _) in PRESETS {
            let mut layers = Layers::default();
            layers.lay(preset(name).expect("known"));
            let config: RunConfig = layers.resolve().unwrap_or_else(|e| panic!("{name}: {e}"));
            config.validate().unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }

    #[test]
    fn an_unknown_preset_names_the_known_ones() {
        assert!(preset("huge").expect_err("unknown").to_string().contains("known: tiny, mini"));
    }
}
