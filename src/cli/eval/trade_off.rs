//! `--task trade-off`: what a model costs and how good it is, beside its teacher.

use std::time::Instant;

use anyhow::Result;
use burn::tensor::Device;
use eval::masked::{MaskedLmRunner, MaskedSet};
use eval::{MeasuredModel, ModelPredictions, TaskModel, TaskOutputs};
use finetune::{DataConfig, Gold, Split, TaskData, TaskKind, TextEncoder, read_split};
use mlm::{Family, Masking, Mlm, MlmConfig};
use objective::{Context, Example, Objective};
use report::statistics::median;
use serde_json::{Map, Value, json};
use tasks::MissingLabel;

use super::args::Args;
use super::held_out::HeldOut;
use crate::cli::output::{decimal, print, print_json, table};
use crate::exit::BadInput;
use crate::model::{self, ModelSource};
use crate::{registry, signals};

/// Rows that are predicted one by one.
const ALONE: usize = 200;
/// Times that all rows are predicted.
const ROUNDS: usize = 3;

/// Measures the model, and the teacher where one is given: both in turns, on the same rows.
///
/// # Errors
/// When the two cannot be compared, the data cannot be read, or a signal asks to stop.
pub fn run(args: &Args, source: &ModelSource) -> Result<()> {
    let device = args.backend.open()?;
    let teacher = args.teacher.as_deref().map(model::find).transpose()?;
    let sources: Vec<&ModelSource> = std::iter::once(source).chain(&teacher).collect();

    // The data of the first source that knows what it was trained on.
    let data = sources.iter().find_map(|source| source.data()).cloned().unwrap_or_default();

    let set;
    let models: Vec<Box<dyn MeasuredModel + '_>> = if are_task_models(&sources)? {
        let of_task = |source: &&ModelSource| task_model(args, source, &data, &device);
        sources.iter().map(of_task).collect::<Result<_>>()?
    } else {
        set = masked_set(args, &sources)?;
        let of_set = |source: &&ModelSource| masked_model(source, &set, &device);
        sources.iter().map(of_set).collect::<Result<_>>()?
    };

    if models[0].rows() == 0 {
        let message = "there is no row to predict; give --input with some";
        return Err(BadInput(message.to_owned()).into());
    }

    let speeds = speeds(&models, args.batch)?;
    let predictions: Vec<ModelPredictions> =
        models.iter().map(|model| Ok(model.predictions(args.batch)?)).collect::<Result<_>>()?;

    let mut measured = Vec::new();
    for (((source, model), speed), predictions) in
        sources.iter().zip(&models).zip(speeds).zip(&predictions)
    {
        let mut entry = Map::new();
        entry.insert("parameters".to_owned(), json!(model.parameters()));
        entry.insert("megabytes".to_owned(), json!(source.bytes()? as f64 / 1e6));
        entry.insert("flops".to_owned(), json!(model.flops()));
        entry.insert("latency_ms".to_owned(), json!(speed.latency * 1e3));
        entry.insert("rows_per_second".to_owned(), json!(speed.rows_per_second));
        let metrics = predictions.metrics.iter();
        entry.extend(metrics.map(|(name, value)| (name.clone(), json!(value))));
        measured.push(entry);
    }

    let agreement = predictions.get(1).map(|teacher| predictions[0].agreement(teacher));
    print_measures(args, models[0].rows(), measured, agreement)
}

/// Whether the models learnt a task.
fn are_task_models(sources: &[&ModelSource]) -> Result<bool> {
    let learns = |source: &&ModelSource| Ok(registry::of_model(source)?.learns_a_task());
    let learn: Vec<bool> = sources.iter().map(learns).collect::<Result<_>>()?;
    if learn.iter().any(|learns| *learns != learn[0]) {
        let message =
            "--teacher: one of the two is fine-tuned and the other is not; give two of a kind";
        return Err(BadInput(message.to_owned()).into());
    }
    Ok(learn[0])
}

/// Prints the measures.
fn print_measures(
    args: &Args,
    rows: usize,
    measured: Vec<Map<String, Value>>,
    agreement: Option<f64>,
) -> Result<()> {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let mut measured = measured.into_iter();
    let (ours, theirs) = (measured.next().unwrap_or_default(), measured.next());

    if args.json {
        let mut document =
            json!({"task": "trade-off", "model": args.model, "rows": rows, "batch": args.batch});
        for (name, value) in &ours {
            document[name] = value.clone();
        }
        if let Some(theirs) = theirs {
            document["agreement"] = json!(agreement);
            let ratio = |(name, value): (&String, &Value)| {
                (name.clone(), json!(number(&ours[name]) / number(value)))
            };
            document["ratio"] = theirs.iter().map(ratio).collect::<Map<_, _>>().into();
            document["teacher"] = theirs.into();
        }
        return print_json(&document);
    }

    let mut text = table(&["quantity", "model", "teacher", "model / teacher"]);
    for (name, value) in &ours {
        let there = theirs.as_ref().and_then(|theirs| theirs.get(name)).map(number);
        text.add_row([
            name.clone(),
            decimal(number(value)),
            there.map_or_else(String::new, decimal),
            there.map_or_else(String::new, |there| decimal(number(value) / there)),
        ]);
    }
    if let Some(agreement) = agreement {
        text.add_row(["agreement".to_owned(), decimal(agreement)]);
    }
    print(&text.to_string())
}

/// How fast a model is.
struct Speed {
    /// Seconds for a row alone.
    latency: f64,
    rows_per_second: f64,
}

/// Medians; the models take turns, so that a machine that is busy for a while slows each of them.
fn speeds(models: &[Box<dyn MeasuredModel + '_>], batch: usize) -> Result<Vec<Speed>> {
    let rows = models[0].rows();
    let mut alone = vec![Vec::new(); models.len()];
    let mut together = vec![Vec::new(); models.len()];

    // Memory and caches are cold at first, so that a few rows are not measured.
    for row in 0..rows.min(10) {
        signals::check()?;
        models.iter().for_each(|model| model.run_one(row));
    }
    for row in 0..rows.min(ALONE) {
        signals::check()?;
        for (model, times) in models.iter().zip(&mut alone) {
            let started = Instant::now();
            model.run_one(row);
            times.push(started.elapsed().as_secs_f64());
        }
    }

    for _ in 0..ROUNDS {
        for (model, times) in models.iter().zip(&mut together) {
            let started = Instant::now();
            model.run_all(batch)?;
            times.push(started.elapsed().as_secs_f64());
        }
    }

    let speed = |(alone, together): (&mut Vec<f64>, &mut Vec<f64>)| Speed {
        latency: median(alone),
        rows_per_second: rows as f64 / median(together),
    };
    Ok(alone.iter_mut().zip(&mut together).map(speed).collect())
}

/// The model in `source` on the rows of its task, in its own tokens.
fn task_model<'a>(
    args: &Args,
    source: &ModelSource,
    data: &'a DataConfig,
    device: &Device,
) -> Result<Box<dyn MeasuredModel + 'a>> {
    let entry = registry::of_model(source)?;
    let knobs = (entry.knobs)(source).unwrap_or_default();
    let outputs: TaskOutputs = knobs.try_into()?;
    let tokenizer = source.tokenizer()?;
    let most = source.max_length();
    let encoder = TextEncoder::new(&tokenizer, args.max_length.unwrap_or(most).min(most));

    let mut split = read_rows(args, data, &outputs, encoder)?;
    let of_rows = matches!(split.gold, Gold::Rows(_))
        && matches!(outputs.kind, TaskKind::Classification | TaskKind::Regression);
    if args.limit > 0 && of_rows {
        split.rows.truncate(args.limit);
    }

    let loaded = (entry.load)(&source.without_teacher(), device)?;
    Ok(Box::new(TaskModel::new(loaded.model, outputs, data, split)))
}

/// The rows of --input, or else those of the task's test or dev data.
fn read_rows(
    args: &Args,
    data: &DataConfig,
    outputs: &TaskOutputs,
    encoder: TextEncoder<'_>,
) -> Result<Split> {
    let TaskOutputs { kind, labels } = outputs;
    let is_named = |path: &std::path::Path| !path.as_os_str().is_empty();

    match args.input.as_slice() {
        [path] => {
            let data = data.of_file(path.as_ref())?;
            let part = ("input", MissingLabel::Refuse);
            Ok(read_split(&data, *kind, encoder, labels, path.as_ref(), part)?)
        }
        [] if !data.glue.is_empty() => {
            Ok(TaskData::read(data, *kind, encoder, labels)?.dev.swap_remove(0))
        }
        [] if is_named(&data.test) => {
            let part = ("test", MissingLabel::Refuse);
            Ok(read_split(data, *kind, encoder, labels, &data.test, part)?)
        }
        [] if is_named(&data.dev) => {
            let part = ("dev", MissingLabel::Refuse);
            Ok(read_split(data, *kind, encoder, labels, &data.dev, part)?)
        }
        _ => Err(BadInput("--input: give one file of the task".to_owned()).into()),
    }
}

/// The model in `source` on masked tokens.
fn masked_model<'a>(
    source: &ModelSource,
    set: &'a MaskedSet,
    device: &Device,
) -> Result<Box<dyn MeasuredModel + 'a>> {
    let loaded = (registry::of_model(source)?.load)(&source.without_teacher(), device)?;
    Ok(Box::new(MaskedLmRunner::new(loaded.model, set)?))
}

/// Masked tokens of the text, which must be the same tokens for all models.
fn masked_set(args: &Args, sources: &[&ModelSource]) -> Result<MaskedSet> {
    let source = sources[0];
    let (tokenizer, encoder) = (source.tokenizer()?, source.encoder()?);
    let mut positions = encoder.positions;
    for other in &sources[1..] {
        if other.tokenizer()?.hash() != tokenizer.hash() {
            let message = "--teacher: it has other tokens than the model, so that the two predict \
                           different things";
            return Err(BadInput(message.to_owned()).into());
        }
        positions = positions.min(other.encoder()?.positions);
    }

    let text = HeldOut::open(args, source, &tokenizer, positions)?;
    let family = args.masks.as_deref().unwrap_or("bert");
    let family: Family =
        toml::Value::from(family).try_into().map_err(|error: toml::de::Error| {
            BadInput(format!("--masks {family}: {}", error.message()))
        })?;

    let config = MlmConfig { evaluation: Masking::of(family), ..MlmConfig::default() };
    let mut context = Context::new(&tokenizer, text.token_counts(), text.max_length(), &encoder);
    context.ngrams = text.ngrams(&tokenizer, &config.evaluation)?;
    let objective = Mlm::new(config, &context)?;
    let partner_epoch = objective.partner_epoch(Example::EVALUATION);
    let examples = text.examples(args, objective.packing(), partner_epoch)?;
    Ok(MaskedSet::new(&objective, &examples))
}
