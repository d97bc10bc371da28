//! One run on labelled data: training, and what its best checkpoint reaches.

use std::path::Path;

use anyhow::{Context as _, Result};
use corpus::Tokenizer;
use objective::Objective;
use serde_json::{Value, json};
use tune::Kind;

use super::{DataConfig, Split, TaskData, judge};
use crate::config::{RunConfig, parse};
use crate::model::{self, Loaded};
use crate::train::weights::Weights;
use crate::train::{self, Examples, Folder, Material, PretrainJob, Resume, labelled_set};
use crate::{registry, teacher};

/// What a run learns, besides its configuration.
#[derive(Debug)]
pub struct Lesson<'a> {
    /// The tokenizer of the rows.
    pub tokenizer: &'a Tokenizer,
    /// What is predicted.
    pub kind: Kind,
    /// The rows.
    pub material: TaskData,
    /// Parameters that do not start by chance.
    pub start: Weights,
}

/// Trains the objective `O` as `config` says, which is complete but for what the number of rows
/// determines, or continues, in `out`; the folder of the run that is there then.
///
/// # Errors
/// Bad configuration, another run in the folder, divergence, an interruption.
pub fn train<O: Objective>(
    mut config: RunConfig,
    out: &Path,
    lesson: &mut Lesson<'_>,
) -> Result<RunConfig> {
    // Once an epoch, unless told otherwise.
    let rows = lesson.material.train.len();
    let epoch = (rows as u64).div_ceil(config.batch.size.max(1) as u64).max(1);
    for every in [&mut config.evaluation.every, &mut config.checkpoint.every] {
        *every = if *every == 0 { epoch } else { *every };
    }
    let config = registry::resolve(config)?;
    let job =
        PretrainJob { config: &config, out, resume: &Resume::Auto, dry_run: false, json: false };
    let state = train::inspect_folder(&job)
        .with_context(|| format!("with {rows} training rows, an epoch of {epoch} steps"))?;
    if !matches!(state, Folder::Finished(_)) {
        let mut encoder = config.encoder.clone();
        model::fit_vocabulary(&mut encoder, lesson.tokenizer)?;
        let mut context =
            train::context(lesson.tokenizer, Vec::new(), config.corpus.max_length, &encoder);
        let device = config.backend.open()?;
        context.teacher = teacher::open(&config.teacher, &device)?;
        let objective = O::new(parse(config.objective_knobs(), "objective.")?, &context)?;
        let valid =
            lesson.material.dev.iter().flat_map(|split| labelled_set(&split.rows)).collect();
        let examples = Examples::Labelled(std::mem::take(&mut lesson.material.train).into());
        let tokenizer = lesson.tokenizer.clone();
        let start = std::mem::take(&mut lesson.start);
        train::train(
            &job,
            state,
            Material {
                objective,
                encoder,
                tokenizer,
                counts: Vec::new(),
                examples,
                valid,
                start,
                device,
            },
        )?;
    }
    Ok(config)
}

/// As [`train()`], and measures the best checkpoint on everything but the training rows: metrics by
/// split and name. Predictions go to files in the run's folder.
///
/// # Errors
/// As [`train()`].
pub fn learn<O: Objective>(config: RunConfig, out: &Path, mut lesson: Lesson<'_>) -> Result<Value> {
    let config = train::<O>(config, out, &mut lesson)?;
    let best = model::find(out)?;
    let loaded: Loaded<O> = model::load(&best, &config.backend.open()?)?;
    let data = config.data.clone().unwrap_or_default();
    let mut results = json!({"run": out, "seed": config.seed, "checkpoint": best.describe()});
    for split in lesson.material.dev.iter().chain(&lesson.material.test) {
        let task = (lesson.kind, lesson.material.labels.as_slice());
        results[&split.name] = measure(&loaded, task, &data, split, config.evaluation.batch, out)?;
    }
    train::write_json(&out.join("task.json"), &results)?;
    Ok(results)
}

/// The metrics of a split; predictions go to files in the run's folder.
fn measure<O: Objective>(
    loaded: &Loaded<O>,
    task: (Kind, &[String]),
    data: &DataConfig,
    split: &Split,
    batch: usize,
    out: &Path,
) -> Result<Value> {
    let judged = judge(loaded, task, data, split, batch)?;
    let lines: String = judged.predictions.iter().map(|line| format!("{line}\n")).collect();
    train::write_aside(&out.join(format!("predictions-{}.jsonl", split.name)), lines.as_bytes())?;
    if let Some(answers) = &judged.answers {
        train::write_json(&out.join(format!("answers-{}.json", split.name)), &answers.answers)?;
        train::write_json(&out.join(format!("nbest-{}.json", split.name)), &answers.n_best)?;
        if !answers.null_odds.is_empty() {
            train::write_json(
                &out.join(format!("null-odds-{}.json", split.name)),
                &answers.null_odds,
            )?;
        }
    }
    let mut metrics = json!({"examples": split.rows.len()});
    for (name, value) in judged.metrics {
        metrics[name] = json!(value);
    }
    Ok(metrics)
}
