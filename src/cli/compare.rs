//! `compare`: one table, and one page, over any number of runs and seeds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use report::{Arm, Axis, Difference, Run, TRADE_OFF, arms, page, traded};
use serde_json::{Value, json};
use toml::Table;

use super::output::{print, print_json, table};
use crate::exit::{BadInput, Usage};
use crate::{model, registry};

/// Flags of `compare`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Folders of runs, or folders with such folders. Runs that differ only in their seed are put
    /// together.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Metrics that are compared; when left out the validation loss, those with an accuracy, F1,
    /// exact match, correlation or area under the curve, and what `eval --task trade-off --json`
    /// printed into the file eval-trade-off.json of a run.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    metric: Vec<String>,
    /// Which arm the others are compared with; the first when left out.
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// The horizontal axis of curves.
    #[arg(long, value_parser = axes(), default_value = Axis::Tokens.field())]
    over: Axis,
    /// Write the table to this file.
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,
    /// Write a page with table and plots to this file; it needs no other file.
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs `compare`.
///
/// # Errors
/// When a folder holds no run, no run is finished, or a file cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let runs = read(&args.runs)?;
    let metrics = metrics(&args.metric, &runs)?;
    let mut arms = arms(runs);
    if let Some(name) = &args.baseline {
        put_first(&mut arms, name)?;
    }

    let (header, rows) = rows(&arms, &metrics);
    if let Some(path) = &args.csv {
        write_csv(path, &arms, &metrics)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &args.html {
        let all: Vec<String> = all_metrics(&arms);
        std::fs::write(path, page(&arms, &header, &rows, &all, args.over))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        let document: Vec<Value> =
            arms.iter().map(|arm| document(arm, &arms[0], &metrics)).collect();
        return print_json(&json!({"arms": document}));
    }

    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut text = table(&header);
    for row in rows {
        text.add_row(row);
    }
    print(&text.to_string())
}

/// The finished runs in `paths`, each once.
fn read(paths: &[PathBuf]) -> Result<Vec<Run>> {
    let (mut runs, mut seen) = (Vec::new(), BTreeSet::new());

    for folder in &paths.iter().flat_map(|path| folders(path)).collect::<Vec<_>>() {
        let name = folder.display();
        if !seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())) {
            tracing::warn!("{name} was named before and counts once");
            continue;
        }
        if !folder.join("run.toml").is_file() {
            return Err(BadInput(format!("{name} is no run: it has no run.toml")).into());
        }

        let config = registry::resolve(*model::run_config(folder)?)?;
        match Run::read(folder, Table::try_from(&config)?)? {
            Some(run) => runs.push(run),
            None => tracing::warn!("{name} is not finished and is left out"),
        }
    }

    if runs.is_empty() {
        return Err(BadInput("none of these runs is finished".to_owned()).into());
    }
    Ok(runs)
}

/// Moves the arm called `name` to the front, where the baseline stands.
fn put_first(arms: &mut [Arm], name: &str) -> Result<(), Usage> {
    let position = arms.iter().position(|arm| arm.name == name).ok_or_else(|| {
        let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
        let known = names.join(", ");
        Usage(format!("--baseline {name}: there is no such arm; known: {known}"))
    })?;
    arms[..=position].rotate_right(1);
    Ok(())
}

fn axes() -> impl TypedValueParser<Value = Axis> {
    let find = |name: String| {
        Axis::ALL.into_iter().find(|axis| axis.field() == name).expect("a possible value")
    };
    PossibleValuesParser::new(Axis::ALL.map(Axis::field)).map(find)
}

fn write_csv(path: &Path, arms: &[Arm], metrics: &[String]) -> Result<()> {
    let mut file = csv::Writer::from_path(path)?;
    file.write_record(csv_header(metrics))?;
    for arm in arms {
        file.write_record(csv_row(arm, &arms[0], metrics))?;
    }
    Ok(file.flush()?)
}

/// The runs that a path stands for: itself, or where it is no run the runs in the folder, such as
/// one for each seed. The file `runs.csv` beside them stands for none.
fn folders(path: &Path) -> Vec<PathBuf> {
    let is_run = |path: &Path| path.join("run.toml").is_file();
    if path.file_name().is_some_and(|name| name == "runs.csv") {
        return Vec::new();
    }

    let inside = path.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut inside: Vec<PathBuf> = inside.filter(|path| is_run(path)).collect();
    inside.sort();
    if is_run(path) || inside.is_empty() { vec![path.to_owned()] } else { inside }
}

/// The metrics that are compared.
fn metrics(asked: &[String], runs: &[Run]) -> Result<Vec<String>> {
    let is_known = |name: &str| runs.iter().any(|run| run.value(name).is_some());
    if let Some(strange) = asked.iter().find(|name| !is_known(name)) {
        let mut known: Vec<&str> = runs.iter().flat_map(Run::metrics).collect();
        known.sort_unstable();
        known.dedup();
        return Err(Usage(format!(
            "--metric {strange}: no run has it; known: {}",
            known.join(", ")
        ))
        .into());
    }
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }

    let telling = |name: &&str| {
        let last = name.rsplit('/').next().unwrap_or(name);
        let known =
            ["accuracy", "f1", "auc", "overall", "exact_match", "matthews", "pearson", "spearman"];
        // The ends of answer_f1 and entity_f1 count too.
        let ends = known.iter().any(|known| last == *known || last.ends_with(&format!("_{known}")));
        let quality = !name.starts_with(TRADE_OFF) && ends;
        *name == "loss" || traded(name).is_some() || quality
    };

    let mut names: Vec<&str> = runs.iter().flat_map(Run::metrics).filter(telling).collect();
    // The loss first, then by name.
    names.sort_unstable_by_key(|name| (*name != "loss", *name));
    names.dedup();

    Ok(names.into_iter().map(str::to_owned).collect())
}

fn all_metrics(arms: &[Arm]) -> Vec<String> {
    let runs = arms.iter().flat_map(|arm| &arm.runs);
    let mut names: Vec<&str> = runs.flat_map(Run::metrics).collect();
    names.sort_unstable_by_key(|name| (*name != "loss", *name));
    names.dedup();
    names.into_iter().map(str::to_owned).collect()
}

/// A quantity of the budget.
struct BudgetColumn {
    /// The name in the table, with the unit.
    title: &'static str,
    /// The field in a run's summary.
    field: &'static str,
    /// What the field is divided by.
    unit: f64,
}

/// The quantities of the budget that every table ends with.
const BUDGET: [BudgetColumn; 4] = [
    BudgetColumn { title: "parameters, M", field: "parameters", unit: 1e6 },
    BudgetColumn { title: "tokens, M", field: "tokens", unit: 1e6 },
    BudgetColumn { title: "FLOPs, T", field: "flops", unit: 1e12 },
    BudgetColumn { title: "minutes", field: "seconds", unit: 60.0 },
];

/// The table for people: its header, and a row for each arm.
fn rows(arms: &[Arm], metrics: &[String]) -> (Vec<String>, Vec<Vec<String>>) {
    let mut header = vec!["arm".to_owned(), "runs".to_owned()];
    for metric in metrics {
        header.push(metric.clone());
        if arms.len() > 1 {
            header.push("difference".to_owned());
        }
    }
    header.extend(BUDGET.map(|column| column.title.to_owned()));

    let row = |arm: &Arm| {
        let mut row = vec![arm.name.clone(), arm.runs.len().to_string()];
        for metric in metrics {
            row.push(mean_text(arm, metric));
            if arms.len() > 1 {
                row.push(difference_text(arm, &arms[0], metric));
            }
        }
        row.extend(BUDGET.map(|column| budget_text(arm, &column)));
        row
    };
    (header, arms.iter().map(row).collect())
}

/// Mean and standard deviation of a metric.
fn mean_text(arm: &Arm, metric: &str) -> String {
    match arm.summary(metric) {
        Some((mean, Some(deviation))) => format!("{mean:.4} ± {deviation:.4}"),
        Some((mean, None)) => format!("{mean:.4}"),
        None => "-".to_owned(),
    }
}

/// The mean of a quantity of the budget, in the unit of the table.
fn budget_text(arm: &Arm, column: &BudgetColumn) -> String {
    match arm.summary(column.field) {
        Some((mean, _)) => format!("{:.2}", mean / column.unit),
        None => "-".to_owned(),
    }
}

/// The difference of a metric to the baseline's, with its interval.
fn difference_text(arm: &Arm, baseline: &Arm, metric: &str) -> String {
    if std::ptr::eq(arm, baseline) {
        return "-".to_owned();
    }
    let Some(Difference { mean, interval }) = arm.difference(baseline, metric) else {
        return "-".to_owned();
    };
    match interval {
        Some(half) => format!("{mean:+.4} [{:+.4}, {:+.4}]", mean - half, mean + half),
        None => format!("{mean:+.4}"),
    }
}

fn csv_header(metrics: &[String]) -> Vec<String> {
    let of = |metric: &String| {
        ["mean", "deviation", "difference", "difference_low", "difference_high"]
            .map(|part| format!("{metric}:{part}"))
    };
    let mut header = vec!["arm".to_owned(), "runs".to_owned()];
    header.extend(metrics.iter().flat_map(of));
    header.extend(BUDGET.map(|column| column.field.to_owned()));
    header
}

fn csv_row(arm: &Arm, baseline: &Arm, metrics: &[String]) -> Vec<String> {
    let text = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());

    let mut row = vec![arm.name.clone(), arm.runs.len().to_string()];
    for metric in metrics {
        let summary = arm.summary(metric);
        let difference = arm.difference(baseline, metric);
        let bound = |sign: f64| difference.and_then(|d| Some(d.mean + sign * d.interval?));

        row.push(text(summary.map(|(mean, _)| mean)));
        row.push(text(summary.and_then(|(_, deviation)| deviation)));
        row.push(text(difference.map(|d| d.mean)));
        row.extend([-1.0, 1.0].map(|sign| text(bound(sign))));
    }

    let mean = |field: &str| arm.summary(field).map(|(mean, _)| mean);
    row.extend(BUDGET.map(|column| text(mean(column.field))));
    row
}

fn document(arm: &Arm, baseline: &Arm, metrics: &[String]) -> Value {
    let mut found = json!({});

    for metric in metrics {
        let difference = arm.difference(baseline, metric);
        let summary = arm.summary(metric);
        found[metric] = json!({
            "values": arm.values(metric),
            "mean": summary.map(|(mean, _)| mean),
            "deviation": summary.and_then(|(_, deviation)| deviation),
            "difference": difference.map(|d| d.mean),
            "interval": difference.and_then(|d| Some([d.mean - d.interval?, d.mean + d.interval?])),
        });
    }

    let mean = |field: &str| json!(arm.summary(field).map(|(mean, _)| mean));
    let budget = BUDGET.map(|column| (column.field.to_owned(), mean(column.field)));
    let budget: serde_json::Map<String, Value> = budget.into_iter().collect();
    let folders: Vec<_> = arm.runs.iter().map(|run| run.folder.display().to_string()).collect();

    json!({"arm": arm.name, "runs": folders, "metrics": found, "budget": budget})
}
