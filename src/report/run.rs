//! One run, read from its folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Map, Value};
use toml::Table;

use crate::config::RunConfig;
use crate::exit::BadInput;
use crate::model::run_config;

/// What curves are drawn over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Axis {
    /// Optimizer steps.
    Step,
    /// Tokens trained on.
    #[default]
    Tokens,
    /// Floating-point operations.
    Flops,
    /// Seconds in the loop.
    Seconds,
}

impl Axis {
    /// Its field in `evals.jsonl`.
    pub fn field(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Tokens => "tokens",
            Self::Flops => "flops",
            Self::Seconds => "seconds",
        }
    }
}

/// How the numbers begin that `eval --task trade-off` printed into a run's `eval-trade-off.json`.
pub const TRADE_OFF: &str = "eval/trade-off/";

/// What `metric` is called where `eval --task trade-off` measured it of the model itself: a cost or
/// a quality, not the teacher's and no ratio.
pub fn traded(metric: &str) -> Option<&str> {
    metric
        .strip_prefix(TRADE_OFF)
        .filter(|part| !part.contains('/') && !["rows", "batch", "step"].contains(part))
}

/// Fields of an evaluation that are no metric.
const PROGRESS: [&str; 4] = ["step", "tokens", "flops", "seconds"];

/// A finished run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// What it is called: the last part of the folder's path.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// Everything that it was told but the seed.
    pub config: Table,
    /// Numbers of `summary.json`.
    pub summary: BTreeMap<String, f64>,
    /// Every evaluation: its progress and its metrics.
    pub evaluations: Vec<BTreeMap<String, f64>>,
    /// Numbers of the files `eval-NAME.json` in the folder, which `eval --json` printed, as
    /// `eval/NAME/...`; those of `task.json`, as `dev/...` and `test/...`.
    pub results: BTreeMap<String, f64>,
}

impl Run {
    /// Reads a run; none where it is not finished.
    ///
    /// # Errors
    /// When the folder holds no run, or a file of it is damaged.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        if !folder.join("run.toml").is_file() {
            return Err(
                BadInput(format!("{} is no run: it has no run.toml", folder.display())).into()
            );
        }
        let config: RunConfig = *run_config(folder)?;
        let [summary_path, evaluations_path] =
            ["summary.json", "evals.jsonl"].map(|file| folder.join(file));
        let Ok(summary) = fs::read_to_string(&summary_path) else { return Ok(None) };
        let summary = numbers(&object(&summary_path, &summary)?);
        let evaluations = fs::read_to_string(&evaluations_path).unwrap_or_default();
        let evaluations =
            evaluations.lines().map(|line| Ok(numbers(&object(&evaluations_path, line)?)));
        let evaluations = evaluations.collect::<Result<_>>()?;
        let mut table = Table::try_from(&config)?;
        for key in ["seed", "threads"] {
            table.remove(key);
        }
        if let Some(corpus) = table.get_mut("corpus").and_then(toml::Value::as_table_mut) {
            corpus.remove("cache");
        }
        Ok(Some(Self {
            folder: folder.to_owned(),
            name: name(folder),
            seed: config.seed,
            config: table,
            summary,
            evaluations,
            results: results(folder)?,
        }))
    }

    /// A metric of the last evaluation that has it, or a number of the summary.
    pub fn value(&self, name: &str) -> Option<f64> {
        let last = self.evaluations.iter().rev().find_map(|evaluation| evaluation.get(name));
        last.or_else(|| self.results.get(name)).or_else(|| self.summary.get(name)).copied()
    }

    /// The names of all metrics, sorted.
    pub fn metrics(&self) -> Vec<&str> {
        let evaluated = self.evaluations.iter().flat_map(|e| e.keys());
        let mut names: Vec<&str> =
            evaluated.chain(self.results.keys()).map(String::as_str).collect();
        names.retain(|name| !PROGRESS.contains(name));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Points (axis, metric) of every evaluation that has both.
    pub fn curve(&self, axis: Axis, metric: &str) -> Vec<(f64, f64)> {
        let point = |e: &BTreeMap<String, f64>| Some((*e.get(axis.field())?, *e.get(metric)?));
        self.evaluations.iter().filter_map(point).filter(|(_, y)| y.is_finite()).collect()
    }
}

/// The last part of the path; where that is a seed alone, after the one before.
fn name(folder: &Path) -> String {
    let Ok(path) = folder.canonicalize() else { return folder.display().to_string() };
    let mut parts = path.iter().rev().map(|part| part.to_string_lossy().into_owned());
    let last = parts.next().unwrap_or_default();
    match (parts.next(), last.strip_prefix("seed-")) {
        (Some(parent), Some(seed)) => format!("{parent}-seed{seed}"),
        _ => last,
    }
}

fn results(folder: &Path) -> Result<BTreeMap<String, f64>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "task.json" {
            let object = object(&path, &fs::read_to_string(&path)?)?;
            found.extend(numbers(&object).into_iter().filter(|(name, _)| name.contains('/')));
        }
        let Some(name) = name.strip_prefix("eval-").and_then(|name| name.strip_suffix(".json"))
        else {
            continue;
        };
        let object = object(&path, &fs::read_to_string(&path)?)?;
        found.extend(
            numbers(&object)
                .into_iter()
                .map(|(part, value)| (format!("eval/{name}/{part}"), value)),
        );
    }
    Ok(found)
}

/// The JSON object in `text`, which is of the file at `path`.
fn object(path: &Path, text: &str) -> Result<Map<String, Value>> {
    Ok(serde_json::from_str(text)
        .map_err(|error| BadInput(format!("{} is damaged: {error}", path.display())))?)
}

/// The numbers of a JSON object; those of an object within it are called `outer/inner`.
fn numbers(object: &Map<String, Value>) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for (name, value) in object {
        match value {
            Value::Object(inner) => {
                found.extend(
                    numbers(inner)
                        .into_iter()
                        .map(|(part, value)| (format!("{name}/{part}"), value)),
                );
            }
            value => found.extend(value.as_f64().map(|value| (name.clone(), value))),
        }
    }
    found
}
