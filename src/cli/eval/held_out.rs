//! Tasks about held-out text: the loss, and the questions of each objective.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use corpus::{Builder, Subset, Tokenizer};
use objective::{Example, Objective, Purpose, Shown};
use serde_json::{Value, json};
use toml::Table;

use super::{Args, EvalJob, Task, open_output};
use crate::cli::print;
use crate::cli::report::{report, table};
use crate::config::{CorpusConfig, parse};
use crate::eval::fill::{self, Blank, Quiz};
use crate::eval::loss::{Means, evaluate};
use crate::exit::{BadInput, Usage};
use crate::model::{Found, Loaded};
use crate::progress::Progress;
use crate::train::{self, Source};

/// The maskers whose losses `--task units` tells: one for each unit.
const UNITS: [(&str, &str); 4] =
    [("token", "bert"), ("word", "bert-whole-word"), ("n-gram", "albert"), ("span", "spanbert")];

/// Evaluates on held-out text.
pub fn run<O: Objective>(job: &EvalJob<'_>, loaded: &Loaded<O>) -> Result<()> {
    let args = job.args;
    let asked = |name: &str, task: &str| match O::NAME == name {
        true => Ok(()),
        false => Err(BadInput(format!(
            "--task {task} needs a model of the objective `{name}`; this one is `{}`",
            O::NAME
        ))),
    };
    let mut knobs = loaded.knobs.clone();
    if let Some(family) = &args.masks {
        mask_as(&mut knobs, family);
    }
    match args.task {
        Task::Sop | Task::Nsp => {
            let (task, labels) = if args.task == Task::Sop {
                ("sop", "sentence-order")
            } else {
                ("nsp", "next-sentence")
            };
            asked("sop", task)?;
            knobs.insert("labels".to_owned(), labels.into());
        }
        Task::Rtd => asked("rtd", "rtd")?,
        Task::Sbo => asked("sbo", "sbo")?,
        Task::Units => return units(job, loaded, &knobs),
        Task::Loss | Task::Pll | Task::Blimp | Task::RtdScores | Task::TradeOff => {}
    }
    let text = HeldOut::open(job, &loaded.tokenizer, loaded.positions)?;
    let (means, passages) = text.evaluate(job, loaded, knobs)?;
    let lacks = match args.task {
        Task::Rtd if means.metric("rtd/accuracy").is_none() => {
            Some("a discriminator: its variant of `rtd` predicts tokens")
        }
        Task::Sbo if means.metric("sbo/accuracy").is_none() => {
            Some("a boundary loss, or no span of this text has a boundary")
        }
        _ => None,
    };
    if let Some(lacks) = lacks {
        return Err(
            BadInput(format!("--task {}: this model lacks {lacks}", args.task.name())).into()
        );
    }
    let mut document = json!({
        "task": args.task.name(),
        "model": args.model,
        "passages": passages,
        "tokens": means.tokens,
        "targets": means.targets,
        "loss": means.loss,
    });
    if let Some(uncertainty) = means.uncertainty {
        document["bits"] = json!(uncertainty.bits);
        document["perplexity"] = json!(uncertainty.perplexity);
    }
    for metric in &means.metrics {
        document[&metric.name] = json!(metric.mean);
    }
    if let Task::Sop | Task::Nsp = args.task {
        let accuracy = means.metric("sop/accuracy").ok_or_else(|| {
            let why = match args.task {
                Task::Nsp => {
                    "they hold one sentence each, or the text is one document; raise --max-length or give another"
                }
                _ => "they hold one sentence each; raise --max-length",
            };
            BadInput(format!("no passage of this text gives a pair: {why}"))
        })?;
        // Every pair is asked both ways.
        let pairs = accuracy.weight / 2.0;
        let [low, high] = wilson(accuracy.mean, pairs);
        for (name, value) in
            [("pairs", pairs), ("accuracy", accuracy.mean), ("low", low), ("high", high)]
        {
            document[name] = json!(value);
        }
    }
    report(args.json, &document)
}

/// Loss and accuracy of a model under one masker for each unit, on the same passages, whatever it
/// learnt to predict.
fn units<O: Objective>(job: &EvalJob<'_>, loaded: &Loaded<O>, knobs: &Table) -> Result<()> {
    let specials = loaded.tokenizer.specials();
    let blank =
        Blank { tokens: &[specials.cls, specials.mask, specials.sep], segments: &[], places: &[1] };
    fill::logits(loaded, &[blank])?;
    let text = HeldOut::open(job, &loaded.tokenizer, loaded.positions)?;
    let mut rows = table(&["unit", "targets", "loss", "accuracy"]);
    let mut document = json!({"task": "units", "model": job.args.model});
    let mut output = open_output(job.args)?;
    for (unit, family) in UNITS {
        let mut knobs = knobs.clone();
        mask_as(&mut knobs, family);
        let (objective, examples) = text.asked(job.args, loaded, knobs)?;
        if let Some(file) = &mut output {
            write_examples(file, &objective, &examples, Some(unit))?;
        }
        let answers = Quiz::new(&objective, &examples).answers(loaded, job.args.batch)?;
        let targets = answers.said.len();
        if targets == 0 {
            return Err(nothing().into());
        }
        let metric = |name: &str| {
            answers.metrics.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, x)| *x)
        };
        let (loss, accuracy) = (metric("loss"), metric("accuracy"));
        let share = format!("{:.2} %", 100.0 * accuracy);
        rows.add_row([unit.to_owned(), targets.to_string(), format!("{loss:.4}"), share]);
        document[unit] = json!({"targets": targets, "loss": loss, "accuracy": accuracy});
    }
    if job.args.json { report(true, &document) } else { print(&rows.to_string()) }
}

/// Evaluation masks as a family sets them, whatever the run's were.
fn mask_as(knobs: &mut Table, family: &str) {
    let evaluation = Table::from_iter([("family".to_owned(), family.into())]);
    knobs.insert("evaluation".to_owned(), evaluation.into());
}

/// The interval of 95 % around a share of `n` independent answers (Wilson 1927).
fn wilson(share: f64, n: f64) -> [f64; 2] {
    const Z: f64 = 1.959_963_984_540_054;
    let scale = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    [middle - half, middle + half]
}

/// The text that is evaluated.
pub struct HeldOut {
    config: CorpusConfig,
    source: Source,
}

impl HeldOut {
    /// The text of `job` for a model with this tokenizer and so many positions.
    ///
    /// # Errors
    /// When there is none, or --max-length does not fit the model.
    pub fn open(job: &EvalJob<'_>, tokenizer: &Tokenizer, positions: usize) -> Result<Self> {
        let args = job.args;
        let mut config = match job.found {
            Found::Run { config, .. } => config.corpus.clone(),
            Found::Hub { .. } => CorpusConfig { max_length: positions, ..CorpusConfig::default() },
        };
        config.max_length = args.max_length.unwrap_or(config.max_length);
        if config.max_length > positions || config.max_length < 8 {
            let length = config.max_length;
            return Err(BadInput(format!(
                "--max-length {length}: must be between 8 and the model's {positions}"
            ))
            .into());
        }
        config.cache = args.cache.clone().unwrap_or(config.cache);
        let source = validation_source(job, &config, tokenizer)?;
        Ok(Self { config, source })
    }

    /// How often each token occurs in it.
    pub fn counts(&self) -> Vec<u64> {
        self.source.corpus.token_counts().to_vec()
    }

    /// Longest sequence.
    pub fn max_length(&self) -> usize {
        self.config.max_length
    }

    /// The fixed evaluation examples of `objective`.
    ///
    /// # Errors
    /// When the text holds no passage.
    pub fn examples<O: Objective>(
        &self,
        args: &Args,
        objective: &O,
        progress: &Progress,
    ) -> Result<Vec<Example>> {
        let passages = self.source.passages(&self.config, objective, progress)?;
        Ok(train::evaluation_set(&passages, args.limit, args.seed, objective))
    }

    /// An objective with these knobs, for the model in `loaded`, and its examples.
    fn asked<O: Objective>(
        &self,
        args: &Args,
        loaded: &Loaded<O>,
        knobs: Table,
    ) -> Result<(O, Vec<Example>)> {
        let counts = loaded.counts.clone().unwrap_or_else(|| self.counts());
        let mut context =
            train::context(&loaded.tokenizer, counts, self.config.max_length, &loaded.encoder);
        context.teacher.clone_from(&loaded.teacher);
        let objective = O::new(parse(knobs, "objective.")?, &context)?;
        let examples = self.examples(args, &objective, &Progress::default())?;
        Ok((objective, examples))
    }

    /// The means over the text under an objective with these knobs, and the number of passages.
    fn evaluate<O: Objective>(
        &self,
        job: &EvalJob<'_>,
        loaded: &Loaded<O>,
        knobs: Table,
    ) -> Result<(Means, usize)> {
        let args = job.args;
        let (objective, examples) = self.asked(args, loaded, knobs)?;
        if let Some(mut file) = open_output(args)? {
            write_examples(&mut file, &objective, &examples, None)?;
        }
        let means = evaluate(
            &objective,
            &loaded.model,
            &examples,
            args.batch,
            &loaded.device,
            &loaded.workers,
        )?;
        if means.loss.is_nan() && means.targets == 0.0 {
            return Err(nothing().into());
        }
        Ok((means, examples.len()))
    }
}

/// Where a text has no target.
fn nothing() -> BadInput {
    BadInput("this text gives nothing to predict: give more of it, a longer --max-length or other --masks".to_owned())
}

/// Writes what the model is shown and asked: one JSON object a sequence, with token ids, segments
/// and, where a token is asked for, its id; and the unit that is masked, where several are.
fn write_examples<O: Objective>(
    file: &mut BufWriter<File>,
    objective: &O,
    examples: &[Example],
    unit: Option<&str>,
) -> Result<()> {
    let context = "cannot write what is asked";
    for example in examples {
        let batch = objective.collate(std::slice::from_ref(example), Purpose::Evaluation);
        for row in 0..objective.sequences(&batch).batch() {
            let shown = objective.show(&batch, row);
            let column =
                |value: fn(&Shown) -> Value| shown.iter().map(value).collect::<Vec<Value>>();
            let mut record = json!({
                "tokens": column(|shown| shown.token.into()),
                "segments": column(|shown| shown.segment.into()),
                "labels": column(|shown| shown.label.into()),
            });
            if let Some(unit) = unit {
                record["unit"] = unit.into();
            }
            writeln!(file, "{record}").context(context)?;
        }
    }
    file.flush().context(context)
}

/// The documents whose loss is asked for: those of --input, or the run's own validation text.
fn validation_source(
    job: &EvalJob<'_>,
    config: &CorpusConfig,
    tokenizer: &Tokenizer,
) -> Result<Source> {
    let progress = Progress::default();
    let build = |paths: &[String]| -> Result<Source> {
        let cache = train::cache_folder(config)?;
        let text = train::text(config, paths)?;
        let corpus = Builder::new(&text, tokenizer, &cache, &progress).build()?;
        Ok(Source { corpus: Arc::new(corpus), subset: Subset::All })
    };
    if !job.args.input.is_empty() {
        return build(&job.args.input);
    }
    let Found::Run { config: run, .. } = job.found else {
        let task = job.args.task.name();
        return Err(
            Usage(format!("--task {task} needs --input TEXT for a Hugging Face folder")).into()
        );
    };
    if !run.corpus.valid.is_empty() {
        // The training text need not be there any more.
        return build(&run.corpus.valid)
            .context("the run's validation text, which is read unless --input TEXT is given");
    }
    let mut run = run.as_ref().clone();
    run.corpus.cache.clone_from(&config.cache);
    // Its own, wherever it came from.
    run.corpus.tokenizer = job.found.tokenizer_path().display().to_string();
    let text = train::Text::prepare(&run, &progress)?;
    text.valid.ok_or_else(|| {
        BadInput("the run has no validation text; give --input TEXT".to_owned()).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    #[test]
    fn the_interval_is_wilsons() {
        let [low, high] = wilson(81.0 / 263.0, 263.0);
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
    }

    #[test]
    fn a_family_replaces_every_knob_of_the_evaluation_masks() {
        let mut knobs: Table = "labels = \"none\"\nevaluation.rate = 0.3".parse().expect("TOML");
        mask_as(&mut knobs, "spanbert");
        assert_eq!(knobs.to_string(), "labels = \"none\"\n\n[evaluation]\nfamily = \"spanbert\"\n");
    }
}
