//! Cargo agrees with the picture of the architecture: which crate may use which.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate may use, directly.
const ALLOWED: &[(&str, &[&str])] = &[
    ("corpus", &[]),
    ("tasks", &["corpus"]),
    ("augment", &["corpus"]),
    ("feature-set", &[]),
    ("kernels", &[]),
    ("trunk", &["kernels"]),
    ("objective", &["trunk", "kernels", "corpus"]),
    ("mlm", &["objective", "trunk", "kernels", "corpus"]),
    ("sop", &["mlm", "objective", "trunk", "kernels", "corpus"]),
    ("rtd", &["mlm", "objective", "trunk", "kernels", "corpus"]),
    ("sbo", &["mlm", "objective", "trunk", "kernels", "corpus"]),
    ("tune", &["tasks", "objective", "trunk", "kernels", "corpus"]),
    ("distill", &["tune", "mlm", "objective", "trunk", "kernels"]),
    (
        "bert-variants",
        &["distill", "augment", "tune", "sop", "rtd", "sbo", "mlm", "objective", "trunk", "kernels", "tasks", "corpus"],
    ),
];

/// What each crate uses, tests aside, as Cargo tells it.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let metadata: Value = serde_json::from_slice(&output.expect("cargo").stdout).expect("JSON");
    let array = |value: &Value| value.as_array().expect("an array").clone();
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let of = |package: &Value| {
        let dependencies = array(&package["dependencies"]);
        let normal = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
        (name(package), normal.map(name).collect())
    };
    array(&metadata["packages"]).iter().map(of).collect()
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

/// The dependencies of the packages that `selection` selects, tests included, each with the features it is built with.
fn features(selection: &[&str]) -> BTreeSet<String> {
    let arguments = ["tree", "--offline", "--locked", "--edges", "normal,build,dev", "--prefix", "none"];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).args(["--format", "{p} [{f}]"]).args(selection).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let foreign = |line: &&str| !line.contains(env!("CARGO_MANIFEST_DIR"));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| line.trim_end_matches(" (*)")).filter(foreign).map(str::to_owned).collect()
}

#[test]
fn the_tests_of_one_crate_use_the_programs_build_of_its_dependencies() {
    let program = features(&["--workspace"]);
    for name in dependencies().keys() {
        let differ: Vec<String> = features(&["--package", name]).difference(&program).cloned().collect();
        assert!(differ.is_empty(), "{name} has {}; crates/feature-set lacks a dependency", differ.join(", "));
    }
}
