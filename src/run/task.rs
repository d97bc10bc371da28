//! One run on labelled data: training, and the scores of its best checkpoint.

use std::path::Path;

use anyhow::{Context as _, Result};
use checkpoint::{Weights, write_aside, write_json};
use corpus::Tokenizer;
use eval::{TaskOutputs, task};
use finetune::{DataConfig, Split, TaskData, TaskKind};
use objective::{LabelledSequence, Objective};
use serde_json::{Value, json};
use train::Examples;

use super::build::build;
use super::folder::{FolderState, Resume};
use super::pretrain::{Material, PretrainJob, complete, train as train_run};
use super::text::TextStatistics;
use crate::config::RunConfig;
use crate::exit::BadInput;
use crate::model::{self, Loaded};

/// What a run learns, besides its configuration.
#[derive(Debug)]
pub struct TaskLesson<'a> {
    /// The tokenizer of the rows.
    pub tokenizer: &'a Tokenizer,
    /// The outputs of the model.
    pub outputs: TaskOutputs,
    /// The rows.
    pub data: TaskData,
    /// Initial values given rather than drawn.
    pub initial: Weights,
}

/// Trains the objective `O` in `out`, or continues a run there. `config` is complete except for
/// what the number of rows determines; the result is the complete configuration.
///
/// # Errors
/// Bad configuration, another run in the folder, divergence, an interruption.
pub fn train<O: Objective>(
    mut config: RunConfig,
    out: &Path,
    lesson: &mut TaskLesson<'_>,
) -> Result<RunConfig> {
    // Evaluation and checkpoints default to once an epoch.
    let rows = lesson.data.train.len();
    let epoch = (rows as u64).div_ceil(config.batch.size.max(1) as u64).max(1);
    for every in [&mut config.evaluation.every, &mut config.checkpoint.every] {
        *every = if *every == 0 { epoch } else { *every };
    }

    let config = complete::<O>(config)?;
    config.validate()?;
    if !config.batch.lengths.is_empty() {
        let message = "batch.lengths cuts passages of a text; the rows of a task stay whole";
        return Err(BadInput(message.to_owned()).into());
    }

    let job = PretrainJob { config: &config, out, resume: &Resume::Auto, dry_run: false };
    let state = job
        .folder_state::<O>()
        .with_context(|| format!("with {rows} training rows, an epoch of {epoch} steps"))?;
    if !matches!(state, FolderState::Finished(_)) {
        train_run(&job, &state, material::<O>(&config, lesson)?)?;
    }
    Ok(config)
}

/// Takes the training rows and the initial values out of `lesson`.
fn material<O: Objective>(config: &RunConfig, lesson: &mut TaskLesson<'_>) -> Result<Material<O>> {
    let device = config.backend.open()?;
    let (objective, encoder) = build(config, lesson.tokenizer, TextStatistics::default(), &device)?;

    let splits = lesson.data.dev.iter();
    let valid = splits.flat_map(|split| LabelledSequence::evaluation_set(&split.rows)).collect();
    let train = std::mem::take(&mut lesson.data.train);

    Ok(Material {
        objective,
        encoder,
        tokenizer: lesson.tokenizer.clone(),
        statistics: TextStatistics::default(),
        examples: Examples::Labelled(train.into()),
        valid,
        initial: std::mem::take(&mut lesson.initial),
        device,
    })
}

/// As [`train()`], and measures the best checkpoint on everything but the training rows: metrics by
/// split and name. Predictions go to files in the run's folder.
///
/// # Errors
/// As [`train()`].
pub fn learn<O: Objective>(
    config: RunConfig,
    out: &Path,
    mut lesson: TaskLesson<'_>,
) -> Result<Value> {
    let config = train::<O>(config, out, &mut lesson)?;
    let best = model::find(out)?;
    let loaded = model::load::<O>(&best, &config.backend.open()?)?;

    let data = config.data.clone().unwrap_or_default();
    let batch = config.evaluation.batch;

    let mut results = json!({"run": out, "seed": config.seed, "checkpoint": best.describe()});
    for split in lesson.data.dev.iter().chain(&lesson.data.test) {
        results[&split.name] = measure(&loaded, &lesson.outputs, &data, split, batch, out)?;
    }

    write_json(&out.join("task.json"), &results)?;
    Ok(results)
}

/// The metrics of a split; predictions go to files in the run's folder.
fn measure(
    loaded: &Loaded,
    outputs: &TaskOutputs,
    data: &DataConfig,
    split: &Split,
    batch: usize,
    out: &Path,
) -> Result<Value> {
    let scored = task::score(loaded.model.as_ref(), outputs, data, split, batch)?;

    let file = |kind: &str, ending: &str| out.join(format!("{kind}-{}.{ending}", split.name));
    let lines: String = scored.predictions.iter().map(|line| format!("{line}\n")).collect();
    write_aside(&file("predictions", "jsonl"), lines.as_bytes())?;

    if let Some(answers) = &scored.answers {
        write_json(&file("answers", "json"), &answers.answers)?;
        write_json(&file("nbest", "json"), &answers.n_best)?;
        if !answers.null_odds.is_empty() {
            write_json(&file("null-odds", "json"), &answers.null_odds)?;
        }
    }

    let mut metrics = json!({"examples": split.examples()});
    for (name, value) in scored.metrics {
        metrics[name] = json!(value);
    }
    if outputs.kind == TaskKind::Regression && metrics.get("pearson").is_none() {
        tracing::warn!(
            "{}: correlations are undefined, because all scores or all predictions are the same",
            split.name
        );
        metrics["pearson"] = Value::Null;
        metrics["spearman"] = Value::Null;
    }
    Ok(metrics)
}
