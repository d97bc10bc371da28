//! One run, read from its folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use toml::Table;

use crate::error::{Error, Result};

/// The horizontal axis of curves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Step, Self::Tokens, Self::Flops, Self::Seconds];

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

/// The prefix of the names of the numbers in a run's `eval-trade-off.json`, which
/// `eval --task trade-off` printed.
pub const TRADE_OFF: &str = "eval/trade-off/";

/// The name of `metric` without [`TRADE_OFF`], where it is a cost or a quality of the model itself:
/// not of its teacher, and no ratio.
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
    /// The name: the last part of the folder's path.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// Its configuration without the seed.
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
    /// Reads a run; none where it is not finished. `config` is its configuration, complete with
    /// the defaults of keys that its file lacks.
    ///
    /// # Errors
    /// When the configuration has no seed, or a file of the run is damaged.
    pub fn read(folder: &Path, mut config: Table) -> Result<Option<Self>> {
        let summary_path = folder.join("summary.json");
        let Ok(summary) = fs::read_to_string(&summary_path) else { return Ok(None) };
        let summary = numbers(&object(&summary_path, &summary)?);

        let path = folder.join("evals.jsonl");
        let lines = fs::read_to_string(&path).unwrap_or_default();
        let evaluations = lines.lines().map(|line| Ok(numbers(&object(&path, line)?)));
        let evaluations = evaluations.collect::<Result<_>>()?;

        let seed = config.get("seed").and_then(toml::Value::as_integer);
        let seed = seed.ok_or_else(|| {
            Error::Data(format!("{}: the configuration has no seed", folder.display()))
        })?;

        for key in ["seed", "threads"] {
            config.remove(key);
        }
        if let Some(corpus) = config.get_mut("corpus").and_then(toml::Value::as_table_mut) {
            corpus.remove("cache");
        }

        Ok(Some(Self {
            folder: folder.to_owned(),
            name: name(folder),
            seed: seed as u64,
            config,
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

/// The last part of the path; of a folder `seed-N` its parent's name and the seed.
fn name(folder: &Path) -> String {
    let Ok(path) = folder.canonicalize() else { return folder.display().to_string() };
    let mut parts = path.iter().rev().map(|part| part.to_string_lossy().into_owned());
    let last = parts.next().unwrap_or_default();
    match (parts.next(), last.strip_prefix("seed-")) {
        (Some(parent), Some(seed)) => format!("{parent}-seed{seed}"),
        _ => last,
    }
}

/// The numbers of the files that `eval`, `finetune` and `distill` left in the folder.
fn results(folder: &Path) -> Result<BTreeMap<String, f64>> {
    let cannot = |path: &Path| Error::io(format!("cannot read {}", path.display()));
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(cannot(folder))? {
        let path = entry.map_err(cannot(folder))?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let evaluation = file.strip_prefix("eval-").and_then(|name| name.strip_suffix(".json"));
        if file != "task.json" && evaluation.is_none() {
            continue;
        }

        let text = fs::read_to_string(&path).map_err(cannot(&path))?;
        let numbers = numbers(&object(&path, &text)?).into_iter();
        match evaluation {
            Some(name) => {
                found.extend(numbers.map(|(part, value)| (format!("eval/{name}/{part}"), value)))
            }
            None => found.extend(numbers.filter(|(name, _)| name.contains('/'))),
        }
    }
    Ok(found)
}

/// The JSON object in `text`, which is of the file at `path`.
fn object(path: &Path, text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text)
        .map_err(|error| Error::Data(format!("{} is damaged: {error}", path.display())))
}

/// The numbers of a JSON object; those of an object within it are called `outer/inner`.
fn numbers(object: &Map<String, Value>) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for (name, value) in object {
        match value {
            Value::Object(inner) => {
                let inner = numbers(inner).into_iter();
                found.extend(inner.map(|(part, value)| (format!("{name}/{part}"), value)));
            }
            value => found.extend(value.as_f64().map(|value| (name.clone(), value))),
        }
    }
    found
}
