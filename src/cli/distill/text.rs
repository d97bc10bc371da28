//! General distillation: a student learns from text.

use anyhow::Result;
use distill::Start;
use settings::Layers;
use toml::Table;

use super::args::{Args, Method};
use super::shape;
use crate::exit::{BadInput, Usage};
use crate::model::ModelSource;

/// Steps of the authors' length groups.
const GROUP: i64 = 50;

/// Runs DistilBERT or TinyBERT's general distillation.
///
/// # Errors
/// As [`super::run`].
pub fn run(args: &Args, teacher: &ModelSource) -> Result<()> {
    refuse_task_flags(args)?;

    let there = teacher.encoder()?;
    let mut layers = Layers::default();
    let encoder = match args.method {
        Method::Distilbert => {
            layers.set("objective.name", "distilbert");
            layers.set("batch.group", GROUP);
            shape::distilbert(&there)
        }
        _ => {
            layers.set("objective.name", "tinybert");
            shape::tinybert(&there)
        }
    };

    layers.set("encoder", Table::try_from(&encoder)?);
    layers.set("corpus.max_length", encoder.positions.min(128) as i64);
    layers.set("corpus.tokenizer", teacher.tokenizer_path().display().to_string());

    let mut layers = args.run.config.below(layers)?;
    // A preset does not choose the teacher.
    layers.set("teacher", args.teacher.display().to_string());
    layers.set("encoder.vocabulary", there.vocabulary as i64);
    if args.method == Method::Distilbert
        && start(layers.clone(), &args.run.config.set)? == Start::Teacher
    {
        layers.set("init", args.teacher.display().to_string());
    }

    args.run.start(layers)
}

/// Refuses the flags that only the distillation of a task has a use for.
fn refuse_task_flags(args: &Args) -> Result<()> {
    if args.student.is_some() {
        return Err(Usage(
            "--student: a general student is new; continue one with --resume DIR or --init DIR"
                .to_owned(),
        )
        .into());
    }
    if args.seeds != 1 {
        return Err(Usage("--seeds: give --seed N, one run for each".to_owned()).into());
    }

    if args.data.train.is_some()
        || args.data.glue.is_some()
        || args.data.dev.is_some()
        || args.data.test.is_some()
    {
        let message = "--train, --dev, --test and --glue are for tasks; general \
                       distillation learns from --corpus PATH";
        return Err(Usage(message.to_owned()).into());
    }
    Ok(())
}

/// What the student starts from.
fn start(mut layers: Layers, set: &[String]) -> Result<Start> {
    for assignment in set {
        layers.assign(assignment)?;
    }

    let config: toml::Value =
        layers.get("objective").cloned().unwrap_or_else(|| Table::new().into());
    let start = config.get("start").cloned().unwrap_or(toml::Value::try_from(Start::default())?);
    start
        .clone()
        .try_into()
        .map_err(|_| BadInput(format!("objective.start = {start}: known: teacher, random")).into())
}
