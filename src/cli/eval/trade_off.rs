//! `--task trade-off`: what a model costs and how good it is, beside its teacher.

use std::time::Instant;

use anyhow::Result;
use burn::tensor::Device;
use mlm::{Family, Masking, Mlm, MlmConfig};
use objective::Objective;
use serde_json::{Map, Value, json};
use tune::Kind;

use super::EvalJob;
use super::held_out::HeldOut;
use crate::cli::predict::Predicts;
use crate::cli::print;
use crate::cli::report::{decimal, table};
use crate::eval::fill::Quiz;
use crate::eval::subject::{Answers, Questions, Subject};
use crate::exit::BadInput;
use crate::finetune::{DataConfig, Encoder, Gold, Split, TaskData, read_split};
use crate::model::{self, Found};
use crate::progress::Progress;
use crate::report::statistics::median;
use crate::{registry, signals, train};

/// Rows that are asked about one by one.
const ALONE: usize = 200;
/// Times that all rows are asked about.
const ROUNDS: usize = 3;

/// Measures the model, and the teacher where one is given: both in turns, on the same rows.
///
/// # Errors
/// When the two cannot be compared, the data cannot be read, or a signal asks to stop.
pub fn run(job: &EvalJob<'_>) -> Result<()> {
    let args = job.args;
    let device = args.backend.open()?;
    let teacher = args.teacher.as_deref().map(model::find).transpose()?;
    let found: Vec<&Found> = std::iter::once(job.found).chain(&teacher).collect();
    let tasks: Vec<bool> = found
        .iter()
        .map(|found| Ok(registry::learns_a_task(found.objective()?)))
        .collect::<Result<_>>()?;
    if tasks.iter().any(|task| *task != tasks[0]) {
        let message =
            "--teacher: one of the two is fine-tuned and the other is not; give two of a kind";
        return Err(BadInput(message.to_owned()).into());
    }
    let (quiz, data);
    let questions: Vec<Questions<'_>> = if tasks[0] {
        // As the first of them that knows was trained.
        data = found.iter().find_map(|found| found.data()).cloned().unwrap_or_default();
        let splits: Result<Vec<Questions<'_>>> =
            found.iter().map(|found| rows(job, found, &data)).collect();
        splits?
    } else {
        quiz = masked(job, &found)?;
        found.iter().map(|_| Questions::Masked(&quiz)).collect()
    };
    let subjects: Vec<Box<dyn Subject + '_>> = (found.iter().zip(questions))
        .map(|(found, questions)| {
            (registry::find(found.objective()?)?.subject)(found, &device, questions)
        })
        .collect::<Result<_>>()?;
    if subjects[0].rows() == 0 {
        return Err(
            BadInput("there is no row to ask about; give --input with some".to_owned()).into()
        );
    }
    let speeds = speeds(&subjects, args.batch)?;
    let answers: Vec<Answers> =
        subjects.iter().map(|subject| subject.answers(args.batch)).collect::<Result<_>>()?;
    let mut measured = Vec::new();
    for (((found, subject), speed), answers) in
        found.iter().zip(&subjects).zip(speeds).zip(&answers)
    {
        let mut entry = Map::new();
        entry.insert("parameters".to_owned(), json!(subject.parameters()));
        entry.insert("megabytes".to_owned(), json!(found.bytes()? as f64 / 1e6));
        entry.insert("flops".to_owned(), json!(subject.flops()));
        entry.insert("latency_ms".to_owned(), json!(speed.latency * 1e3));
        entry.insert("rows_per_second".to_owned(), json!(speed.rows_per_second));
        entry.extend(answers.metrics.iter().map(|(name, value)| (name.clone(), json!(value))));
        measured.push(entry);
    }
    let agreement = answers.get(1).map(|teacher| answers[0].agreement(teacher));
    tell(job, subjects[0].rows(), measured, agreement)
}

/// Prints the measures.
fn tell(
    job: &EvalJob<'_>,
    rows: usize,
    measured: Vec<Map<String, Value>>,
    agreement: Option<f64>,
) -> Result<()> {
    let (args, number) = (job.args, |value: &Value| value.as_f64().unwrap_or(f64::NAN));
    let mut measured = measured.into_iter();
    let (mine, theirs) = (measured.next().unwrap_or_default(), measured.next());
    if args.json {
        let mut document =
            json!({"task": "trade-off", "model": args.model, "rows": rows, "batch": args.batch});
        for (name, value) in &mine {
            document[name] = value.clone();
        }
        if let Some(theirs) = theirs {
            document["agreement"] = json!(agreement);
            let ratio = |(name, value): (&String, &Value)| {
                (name.clone(), json!(number(&mine[name]) / number(value)))
            };
            document["ratio"] = theirs.iter().map(ratio).collect::<Map<_, _>>().into();
            document["teacher"] = theirs.into();
        }
        return print(&serde_json::to_string_pretty(&document)?);
    }
    let mut text = table(&["quantity", "model", "teacher", "model / teacher"]);
    for (name, value) in &mine {
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

/// Medians; the subjects take turns, so that a machine that is busy for a while slows each of them.
fn speeds(subjects: &[Box<dyn Subject + '_>], batch: usize) -> Result<Vec<Speed>> {
    let rows = subjects[0].rows();
    let mut alone = vec![Vec::new(); subjects.len()];
    let mut together = vec![Vec::new(); subjects.len()];
    // The first few find memory and caches cold.
    for (row, measured) in
        (0..rows.min(10)).map(|row| (row, false)).chain((0..rows.min(ALONE)).map(|row| (row, true)))
    {
        signals::check()?;
        for (subject, times) in subjects.iter().zip(&mut alone) {
            let started = Instant::now();
            subject.ask_one(row);
            if measured {
                times.push(started.elapsed().as_secs_f64());
            }
        }
    }
    for _ in 0..ROUNDS {
        for (subject, times) in subjects.iter().zip(&mut together) {
            let started = Instant::now();
            subject.ask_all(batch)?;
            times.push(started.elapsed().as_secs_f64());
        }
    }
    let speed = |(alone, together): (&mut Vec<f64>, &mut Vec<f64>)| Speed {
        latency: median(alone),
        rows_per_second: rows as f64 / median(together),
    };
    Ok(alone.iter_mut().zip(&mut together).map(speed).collect())
}

/// The rows of a task in the tokens of the model in `found`.
fn rows<'d>(job: &EvalJob<'_>, found: &Found, data: &'d DataConfig) -> Result<Questions<'d>> {
    let Predicts { kind, labels } = found.knobs().try_into()?;
    let max_length = found.max_length();
    let tokenizer = found.tokenizer()?;
    let encoder =
        Encoder::new(&tokenizer, job.args.max_length.unwrap_or(max_length).min(max_length));
    let split = match (job.args.input.as_slice(), &data.test, &data.dev) {
        ([path], ..) => read_split(
            &data.of_file(path.as_ref())?,
            kind,
            encoder,
            &labels,
            "input",
            path.as_ref(),
        )?,
        ([], ..) if !data.glue.is_empty() => {
            let mut dev = TaskData::read(data, kind, encoder, &labels)?.dev;
            dev.swap_remove(0)
        }
        ([], test, _) if !test.as_os_str().is_empty() => {
            read_split(data, kind, encoder, &labels, "test", test)?
        }
        ([], _, dev) if !dev.as_os_str().is_empty() => {
            read_split(data, kind, encoder, &labels, "dev", dev)?
        }
        _ => return Err(BadInput("--input: give one file of the task".to_owned()).into()),
    };
    let Split { name, mut rows, gold } = split;
    if job.args.limit > 0
        && matches!((&gold, kind), (Gold::Rows, Kind::Classification | Kind::Regression))
    {
        rows.truncate(job.args.limit);
    }
    Ok(Questions::Task { kind, labels, data, split: Split { name, rows, gold } })
}

/// Masked tokens of the text, which must be the same tokens for both models.
fn masked(job: &EvalJob<'_>, found: &[&Found]) -> Result<Quiz> {
    let args = job.args;
    let (tokenizer, encoder) = (job.found.tokenizer()?, job.found.encoder()?);
    for other in &found[1..] {
        if other.tokenizer()?.hash() != tokenizer.hash() {
            let message = "--teacher: it has other tokens than the model, so that the two answer different questions";
            return Err(BadInput(message.to_owned()).into());
        }
    }
    let positions =
        found.iter().map(|found| Ok(found.encoder()?.positions)).collect::<Result<Vec<_>>>()?;
    let positions = positions.into_iter().min().unwrap_or(encoder.positions);
    let text = HeldOut::open(job, &tokenizer, positions)?;
    let family = args.masks.as_deref().unwrap_or("bert");
    let family: Family =
        toml::Value::from(family).try_into().map_err(|error: toml::de::Error| {
            BadInput(format!("--masks {family}: {}", error.message()))
        })?;
    let config = MlmConfig { evaluation: Masking::of(family), ..MlmConfig::default() };
    let context = train::context(&tokenizer, text.counts(), text.max_length(), &encoder);
    let objective = Mlm::new(config, &context)?;
    let examples = text.examples(args, &objective, &Progress::default())?;
    Ok(Quiz::new(&objective, &examples))
}

/// The model in `found` before `questions`.
///
/// # Errors
/// When it cannot be loaded or cannot answer them.
pub fn subject<'a, O: Objective>(
    found: &Found,
    device: &Device,
    questions: Questions<'a>,
) -> Result<Box<dyn Subject + 'a>> {
    crate::eval::subject::subject::<O>(model::load(&found.alone(), device)?, questions)
}
