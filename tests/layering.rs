//! Cargo agrees with the picture of the architecture: which crate may use which.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate may use, directly.
const ALLOWED: &[(&str, &[&str])] = &[
    // Without burn.
    ("corpus", &[]),
    ("tasks", &["corpus"]),
    ("augment", &["corpus"]),
    ("settings", &[]),
    ("report", &["settings"]),
    ("feature-set", &[]),
    // The encoder, and its parameters on disk.
    ("kernels", &[]),
    ("trunk", &["kernels"]),
    ("checkpoint", &[]),
    ("hub", &["checkpoint", "trunk", "corpus"]),
    // The contract and the objectives.
    ("objective", &["hub", "trunk", "kernels", "corpus"]),
    ("mlm", &["objective", "hub", "trunk", "kernels", "corpus"]),
    ("sop", &["mlm", "objective", "hub", "trunk", "kernels", "corpus"]),
    ("rtd", &["mlm", "objective", "hub", "checkpoint", "trunk", "kernels", "corpus"]),
    ("sbo", &["mlm", "objective", "hub", "trunk", "kernels", "corpus"]),
    ("mntp", &["mlm", "objective", "hub", "trunk", "kernels", "corpus"]),
    ("finetune", &["tasks", "objective", "hub", "trunk", "kernels", "corpus"]),
    ("distill", &["finetune", "mlm", "objective", "hub", "checkpoint", "trunk", "kernels"]),
    // What is done with an objective; the two meet only in the program.
    ("train", &["objective", "checkpoint", "trunk", "kernels", "corpus"]),
    ("probe", &["objective", "trunk", "kernels", "corpus"]),
    ("eval", &["finetune", "objective", "settings", "tasks", "trunk", "corpus"]),
    (
        "bert-variants",
        &[
            "augment",
            "checkpoint",
            "corpus",
            "distill",
            "eval",
            "finetune",
            "hub",
            "kernels",
            "mlm",
            "objective",
            "probe",
            "report",
            "rtd",
            "sbo",
            "mntp",
            "settings",
            "sop",
            "tasks",
            "train",
            "trunk",
        ],
    ),
];

/// Crates that compute nothing, and so must be usable and testable without burn.
const WITHOUT_BURN: [&str; 5] = ["corpus", "tasks", "augment", "settings", "report"];

/// What each crate uses, tests aside, as Cargo tells it.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
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
fn crates_that_compute_nothing_know_nothing_of_burn() {
    let dependencies = dependencies();
    for name in WITHOUT_BURN {
        let uses_burn = dependencies[name].iter().any(|used| used.starts_with("burn"));
        assert!(!uses_burn, "{name} must not use burn");
    }
}

/// The crates that Cargo builds for `arguments`, ours aside, each with its features. A crate stands
/// apart where it is built for the compiler's own use (under a build script or a procedural macro),
/// since Cargo gives it other features there.
fn built(arguments: &[&str]) -> BTreeMap<(String, bool), BTreeSet<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--locked", "--charset", "ascii", "--format", "{p} [{f}]"]);
    let output =
        cargo.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let mut built: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    // For each level of the tree, whether what stands below it serves the compiler.
    let mut compiler = vec![false];
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        let name = line.trim_start_matches(['|', '`', '-', ' ']);
        let level = (line.len() - name.len()) / 4;
        let Some((package, features)) =
            name.trim_end_matches(" (*)").trim_end_matches(']').split_once(" [")
        else {
            compiler.truncate(level + 1);
            compiler.push(compiler[level] || name == "[build-dependencies]");
            continue;
        };
        compiler.truncate(level + 1);
        let here = compiler[level] || package.ends_with("(proc-macro)");
        compiler.push(here);
        if !package.contains(env!("CARGO_MANIFEST_DIR")) {
            built.entry((package.to_owned(), here)).or_default().insert(features.to_owned());
        }
    }
    built
}

#[test]
fn tests_and_benchmarks_use_the_programs_build_of_its_dependencies() {
    let program = built(&["--package", "bert-variants", "--edges", "normal,build"]);
    let members = dependencies();
    let selections =
        members.keys().map(|name| vec!["--package", name]).chain([vec!["--workspace"]]);

    for selection in selections {
        for (dependency, features) in
            built(&[&selection[..], &["--edges", "normal,build,dev"]].concat())
        {
            let Some(of_program) = program.get(&dependency) else { continue };
            assert!(
                features.is_subset(of_program),
                "{}: {} has {features:?}, in the program {of_program:?}; crates/feature-set lacks \
                 what asks for the difference",
                selection.join(" "),
                dependency.0,
            );
        }
    }
}
