//! Cargo agrees with the picture of the architecture: which crate may use which.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate may use, directly.
const ALLOWED: &[(&str, &[&str])] = &[
    ("corpus", &[]),
    ("kernels", &[]),
    ("trunk", &["kernels"]),
    ("objective", &["trunk", "kernels", "corpus"]),
    ("mlm", &["objective", "trunk", "kernels", "corpus"]),
    ("bert-variants", &["mlm", "objective", "trunk", "kernels", "corpus"]),
];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().other_options(vec!["--offline".into()]).exec().expect("metadata");
    let normal = |dependency: &&cargo_metadata::Dependency| dependency.kind == DependencyKind::Normal;
    let of = |package: &cargo_metadata::Package| {
        let names = package.dependencies.iter().filter(normal).map(|dependency| dependency.name.clone());
        (package.name.to_string(), names.collect())
    };
    metadata.packages.iter().map(of).collect()
}

#[test]
fn crates_point_one_way() {
    let dependencies = dependencies();
    let members: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    let pictured: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    assert_eq!(members, pictured, "every crate stands in the picture");
    for (name, allowed) in ALLOWED {
        for used in dependencies[*name].iter().filter(|used| members.contains(used.as_str())) {
            assert!(allowed.contains(&used.as_str()), "{name} must not use {used}");
        }
    }
}

#[test]
fn the_corpus_knows_nothing_of_burn() {
    assert!(dependencies()["corpus"].iter().all(|used| !used.starts_with("burn")));
}
