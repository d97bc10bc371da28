//! The compiled-in presets.

use toml::Table;

use crate::exit::BadInput;

/// Name and text of every preset.
pub const PRESETS: &[(&str, &str)] = &[
    ("tiny", include_str!("../presets/tiny.toml")),
    ("mini", include_str!("../presets/mini.toml")),
    ("small", include_str!("../presets/small.toml")),
    ("bert-tiny", include_str!("../presets/bert-tiny.toml")),
    ("bert-mini", include_str!("../presets/bert-mini.toml")),
    ("bert-small", include_str!("../presets/bert-small.toml")),
    ("bert-base", include_str!("../presets/bert-base.toml")),
    ("bert-large", include_str!("../presets/bert-large.toml")),
    ("roberta-tiny", include_str!("../presets/roberta-tiny.toml")),
    ("roberta-mini", include_str!("../presets/roberta-mini.toml")),
    ("roberta-small", include_str!("../presets/roberta-small.toml")),
    ("roberta-base", include_str!("../presets/roberta-base.toml")),
    ("roberta-large", include_str!("../presets/roberta-large.toml")),
    ("albert-tiny", include_str!("../presets/albert-tiny.toml")),
    ("albert-mini", include_str!("../presets/albert-mini.toml")),
    ("albert-small", include_str!("../presets/albert-small.toml")),
    ("albert-base", include_str!("../presets/albert-base.toml")),
    ("albert-large", include_str!("../presets/albert-large.toml")),
    ("albert-xlarge", include_str!("../presets/albert-xlarge.toml")),
    ("albert-xxlarge", include_str!("../presets/albert-xxlarge.toml")),
    ("electra-tiny", include_str!("../presets/electra-tiny.toml")),
    ("electra-mini", include_str!("../presets/electra-mini.toml")),
    ("electra-small", include_str!("../presets/electra-small.toml")),
    ("electra-base", include_str!("../presets/electra-base.toml")),
    ("electra-large", include_str!("../presets/electra-large.toml")),
    ("spanbert-tiny", include_str!("../presets/spanbert-tiny.toml")),
    ("spanbert-mini", include_str!("../presets/spanbert-mini.toml")),
    ("spanbert-small", include_str!("../presets/spanbert-small.toml")),
    ("spanbert-base", include_str!("../presets/spanbert-base.toml")),
    ("spanbert-large", include_str!("../presets/spanbert-large.toml")),
    ("modern-tiny", include_str!("../presets/modern-tiny.toml")),
    ("modern-mini", include_str!("../presets/modern-mini.toml")),
    ("modern-small", include_str!("../presets/modern-small.toml")),
    ("modern-base", include_str!("../presets/modern-base.toml")),
    ("modernbert-base", include_str!("../presets/modernbert-base.toml")),
    ("modernbert-large", include_str!("../presets/modernbert-large.toml")),
    ("ettin-17m", include_str!("../presets/ettin-17m.toml")),
    ("ettin-32m", include_str!("../presets/ettin-32m.toml")),
    ("ettin-68m", include_str!("../presets/ettin-68m.toml")),
    ("ettin-150m", include_str!("../presets/ettin-150m.toml")),
    ("ettin-400m", include_str!("../presets/ettin-400m.toml")),
    ("ettin-1b", include_str!("../presets/ettin-1b.toml")),
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

    #[test]
    fn every_preset_tells_its_command_and_what_it_takes() {
        for (name, text) in PRESETS {
            let header: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
            assert!(header.iter().any(|line| {
                line.starts_with(&format!("# Command: bert-variants pretrain --preset {name} "))
            }));
            let told = |line: &&str| {
                line.starts_with("# On two cores: ")
                    || line.starts_with("# Not trained to the end here: ")
            };
            assert!(header.iter().any(told), "{name}");
        }
    }

    #[test]
    fn an_unknown_preset_names_the_known_ones() {
        assert!(preset("huge").expect_err("unknown").to_string().contains("known: tiny, mini"));
    }
}
