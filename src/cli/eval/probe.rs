//! `--task probe`: what a linear classifier reads from a frozen encoder.

use std::io::Write;

use anyhow::{Context as _, Result};
use burn::tensor::Device;
use corpus::Tokenizer;
use finetune::{TaskData, TaskKind, TextEncoder};
use objective::{Label, LabelledSequence};
use probe::{LayerScore, Probe, ProbeExample, ProbeRows, ProbeSet, Question, SentencePool};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};
use trunk::Encoder;

use super::args::Args;
use crate::cli::output::{print, print_json, table};
use crate::config::CorpusConfig;
use crate::exit::{BadInput, Usage};
use crate::model::{self, ModelSource};
use crate::run::open_text;
use crate::signals;

/// Training examples of a question, unless --limit says otherwise.
const EXAMPLES: usize = 4000;

/// Probes the model, and the same encoder with random weights.
///
/// # Errors
/// When there is neither text nor a labelled table, either has too little, or a signal asks to
/// stop.
pub fn run(args: &Args, source: &ModelSource) -> Result<()> {
    let device = args.backend.open()?;
    let tokenizer = source.tokenizer()?;
    let config = source.encoder()?;
    let trained = model::open_encoder(source, &device)?;
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let random = Encoder::init(&config, &mut rng, &device);

    let max_length = args.max_length.unwrap_or(source.max_length()).min(config.positions);
    let questions = if args.data.check().is_ok() {
        vec![("labels", labelled(args, &tokenizer, max_length)?)]
    } else {
        asked(args, source, &tokenizer, max_length)?
    };

    let has_segments = config.segments > 1;
    let mut document = json!({"task": "probe", "model": args.model, "seed": args.seed});
    for (name, rows) in &questions {
        signals::check()?;
        let probe = |encoder: &Encoder, device: &Device| {
            Probe { encoder, has_segments, batch: args.batch, device }.scores(rows)
        };
        document[*name] = result(rows, &probe(&trained, &device)?, &probe(&random, &device)?)?;
    }

    if args.json { print_json(&document) } else { print(&for_people(&document, &questions)) }
}

/// The rows of the labelled table.
fn labelled(args: &Args, tokenizer: &Tokenizer, max_length: usize) -> Result<ProbeRows> {
    let config = args.data.config(TaskKind::Classification);
    let encoder = TextEncoder::new(tokenizer, max_length);
    let data = TaskData::read(&config, TaskKind::Classification, encoder, &[])?;

    let measured = data.test.into_iter().chain(data.dev).next();
    let test = measured.ok_or_else(|| {
        Usage("--train without --test or --dev: there is nothing to measure on".to_owned())
    })?;
    Ok(ProbeRows { train: data.train, test: test.rows, classes: data.labels.len() })
}

/// The rows of every question about the text.
fn asked(
    args: &Args,
    source: &ModelSource,
    tokenizer: &Tokenizer,
    max_length: usize,
) -> Result<Vec<(&'static str, ProbeRows)>> {
    let (config, own) = match source {
        ModelSource::Run { config, .. } => (config.corpus.clone(), config.corpus.valid.clone()),
        ModelSource::Hub { .. } => (CorpusConfig::default(), Vec::new()),
    };
    let paths = if args.input.is_empty() { own } else { args.input.clone() };
    if paths.is_empty() {
        let message = "--task probe needs --input TEXT that the model was not trained on, or \
                       labelled rows: --train TABLE --test TABLE";
        return Err(Usage(message.to_owned()).into());
    }

    let pool = SentencePool::read(&open_text(&config, &paths)?, args.seed)?;
    let most = if args.limit == 0 { EXAMPLES } else { args.limit };
    let encoder = TextEncoder::new(tokenizer, max_length);
    let mut output = args.open_output()?;

    let mut questions = Vec::new();
    for question in Question::ALL {
        let set = match question.examples(&pool, most, args.seed) {
            Ok(set) => set,
            Err(error) => {
                tracing::warn!("{error}");
                continue;
            }
        };
        if let Some(file) = &mut output {
            write(file, question, &set)?;
        }
        questions.push((question.name(), rows(encoder, &set)));
    }
    if let Some(mut file) = output {
        file.flush().context("cannot write the examples")?;
    }
    if questions.is_empty() {
        return Err(BadInput("the text answers none of the questions".to_owned()).into());
    }
    Ok(questions)
}

/// The sequences of a question's texts.
fn rows(encoder: TextEncoder<'_>, set: &ProbeSet) -> ProbeRows {
    let row = |example: &ProbeExample| {
        let label = Some(Label::Class(example.class));
        encoder.texts(&example.text, example.pair.as_deref(), label).0
    };
    let side =
        |examples: &[ProbeExample]| -> Vec<LabelledSequence> { examples.iter().map(row).collect() };
    ProbeRows { train: side(&set.train), test: side(&set.test), classes: set.classes.len() }
}

/// Writes the texts of a question, one JSON object each.
fn write(file: &mut impl Write, question: Question, set: &ProbeSet) -> Result<()> {
    for (split, examples) in [("train", &set.train), ("test", &set.test)] {
        for example in examples {
            let mut record = serde_json::to_value(example)?;
            record["question"] = question.name().into();
            record["split"] = split.into();
            record["class"] = set.classes[example.class as usize].as_str().into();
            writeln!(file, "{record}").context("cannot write the examples")?;
        }
    }
    Ok(())
}

/// What is known about a question after probing.
fn result(rows: &ProbeRows, trained: &[LayerScore], random: &[LayerScore]) -> Result<Value> {
    let of_layers = |layers: &[LayerScore]| {
        let n = rows.test.len() as f64;
        let (best, LayerScore { accuracy, .. }) = LayerScore::best(layers);
        json!({
            "layers": layers.iter().map(|layer| layer.accuracy).collect::<Vec<f64>>(),
            "best_layer": best,
            "accuracy": accuracy,
            "interval": 1.96 * (accuracy * (1.0 - accuracy) / n).sqrt(),
        })
    };
    Ok(json!({
        "classes": rows.classes,
        "train": rows.train.len(),
        "test": rows.test.len(),
        "majority": rows.majority()?,
        "lengths": rows.score_of_lengths()?.accuracy,
        "random": of_layers(random),
        "trained": of_layers(trained),
    }))
}

/// A table of all questions.
fn for_people(document: &Value, questions: &[(&str, ProbeRows)]) -> String {
    let header = [
        "question",
        "rows",
        "majority",
        "lengths",
        "random weights",
        "this model",
        "layer",
        "layers",
    ];
    let mut table = table(&header);
    let percent = |value: &Value| format!("{:.1}", 100.0 * value.as_f64().unwrap_or(f64::NAN));
    let with_interval =
        |of: &Value| format!("{} +- {}", percent(&of["accuracy"]), percent(&of["interval"]));

    for (name, rows) in questions {
        let of = &document[*name];
        let layers = of["trained"]["layers"].as_array().into_iter().flatten();
        table.add_row([
            (*name).to_owned(),
            format!("{} + {}", rows.train.len(), rows.test.len()),
            percent(&of["majority"]),
            percent(&of["lengths"]),
            with_interval(&of["random"]),
            with_interval(&of["trained"]),
            of["trained"]["best_layer"].to_string(),
            layers.map(percent).collect::<Vec<_>>().join(" "),
        ]);
    }
    format!(
        "{table}\nAccuracy in % with a 95 % interval of the test rows, of the layer that is best on \
         training rows kept back; layer 0 are the embeddings. lengths: the numbers of tokens alone."
    )
}
