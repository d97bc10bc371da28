//! `augment`: more sentences out of few.

mod args;
mod format;
mod masked_model;

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use augment::{
    Lexicon, Sought, Stream, Tang, TextRow, Tinybert, TrainVectors, Unigrams, Vectors,
    train_vectors,
};
use corpus::{ProgressObserver, Tokenizer};
use rayon::prelude::*;
use serde_json::json;
use tasks::{Columns, Header, Label, LabelKind, MissingLabel, Ragged, Table, TableRow};

use self::args::Method;
use self::format::Format;
use self::masked_model::EvaluableMaskedModel;
use super::args::use_threads;
use super::output::{OutputFormat, report};
use crate::exit::{BadInput, Usage};
use crate::model::{self, ModelSource};
use crate::progress::Progress;
use crate::{registry, signals};

pub use args::Args;

/// Rows whose queries go to the model together.
const CHUNK: usize = 128;
/// Vectors that are read from a file, as many as the authors read.
const VECTORS: usize = 100_000;

/// The table to be varied.
struct Sentences {
    rows: Vec<TextRow>,
    /// The label of each row, as it is written.
    labels: Vec<Option<String>>,
}

impl Sentences {
    fn read(args: &Args) -> Result<Self> {
        let table = Table::open(&args.input, &columns(args))?;
        for remark in &table.remarks {
            tracing::warn!("{}: {remark}", args.input.display());
        }
        let row = |example: &TableRow| TextRow {
            first: example.first.clone(),
            second: example.second.clone(),
        };
        let label = |example: &TableRow| label(example.label.as_ref());
        Ok(Self {
            rows: table.examples.iter().map(row).collect(),
            labels: table.examples.iter().map(label).collect(),
        })
    }

    /// All sentences, first and second.
    fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        self.rows
            .iter()
            .flat_map(|row| std::iter::once(row.first.as_str()).chain(row.second.as_deref()))
    }
}

/// Runs `augment`.
///
/// # Errors
/// When the input or the model cannot be used, the output is there already, or a signal asks to
/// stop.
pub fn run(args: &Args) -> Result<()> {
    args.check()?;
    use_threads(args.threads)?;

    let source = model::find(&args.model)?;
    anstream::eprintln!("model: {}", source.describe());
    let format = Format::of(args)?;
    let identity = args.identity(&source)?;
    let stream = Stream { output: &args.output, identity, header: format.header(), chunk: CHUNK };
    stream.check()?;

    let sentences = Sentences::read(args)?;
    let started = Instant::now();
    let (source, sentences) = (&source, &sentences);
    let job = Job { args, source, sentences, stream: &stream, format: &format };
    let done = match args.method {
        Method::Tinybert => tinybert(&job),
        Method::Tang => tang(&job),
    };
    if let Err(error) = &done
        && matches!(error.downcast_ref(), Some(augment::Error::Interrupted))
    {
        signals::check()?;
    }

    let (done, seconds) = (done?, started.elapsed().as_secs_f64());
    let document = json!({
        "output": args.output,
        "sentences": done.rows,
        "rows": done.written,
        "seconds": seconds,
        "rows_per_second": done.written as f64 / seconds,
    });
    report(OutputFormat::of_flag(args.json), &document)
}

/// What the methods share.
#[derive(Clone, Copy)]
struct Job<'a> {
    args: &'a Args,
    source: &'a ModelSource,
    sentences: &'a Sentences,
    stream: &'a Stream<'a>,
    format: &'a Format<'a>,
}

/// Varies words by a masked language model and by word vectors.
fn tinybert(job: &Job<'_>) -> Result<augment::StreamProgress> {
    let Job { args, source, sentences, .. } = *job;
    let loaded = (registry::of_model(source)?.load)(source, &args.backend.open()?)?;
    let model = loaded.model.as_ref();
    let vectors = vectors(args, sentences.texts(), model.tokenizer(), source)?;

    let tinybert = Tinybert {
        copies: args.copies()?.unwrap_or(20),
        probability: args.replace.unwrap_or(0.4),
        behaviour: args.behaviour(),
    };
    let sought = Sought {
        tokenizer: model.tokenizer(),
        model: &EvaluableMaskedModel(model),
        vectors: &vectors,
        count: args.candidates.unwrap_or(15),
        max_length: model.encoder().positions.min(128),
        behaviour: args.behaviour(),
    };

    let vary = |start: u64, rows: &[TextRow]| {
        let candidates = sought.of(rows)?;
        let numbered = rows.iter().zip(&candidates).zip(start..);
        let variants =
            numbered.map(|((row, both), number)| tinybert.variants(row, number, args.seed, both));
        Ok(variants.collect())
    };

    write(job, vary)
}

/// Varies words by their part of speech, and keeps n-grams.
fn tang(job: &Job<'_>) -> Result<augment::StreamProgress> {
    let Job { args, source, sentences, .. } = *job;
    let path = args.tags.as_deref().ok_or_else(|| {
        let message = "--method tang needs --tags FILE, lines of word<TAB>tag that tell the parts \
                       of speech";
        Usage(message.to_owned())
    })?;

    let tagger = Lexicon::open(path)?;
    let words = Unigrams::count(sentences.texts(), &tagger);
    let tokenizer = source.tokenizer()?;
    let mask = tokenizer.token(tokenizer.specials().mask).unwrap_or("[MASK]");

    let tang = Tang {
        iterations: args.copies()?.unwrap_or(if args.pair.is_some() { 10 } else { 20 }),
        mask: args.mask.unwrap_or(0.1),
        replace: args.replace.unwrap_or(0.1),
        ngram: args.ngram.unwrap_or(0.25),
        mask_text: mask.to_owned(),
        behaviour: args.behaviour(),
    };

    let vary = |start: u64, rows: &[TextRow]| {
        let variants = rows
            .par_iter()
            .enumerate()
            .map(|(i, row)| tang.variants(row, start + i as u64, args.seed, &tagger, &words));
        Ok(variants.collect())
    };

    write(job, vary)
}

/// Writes the rows and their variants, and tells how far it is.
fn write(
    job: &Job<'_>,
    vary: impl Fn(u64, &[TextRow]) -> augment::Result<Vec<Vec<TextRow>>>,
) -> Result<augment::StreamProgress> {
    let Job { sentences, stream, format, .. } = *job;
    let progress = Progress::of_things();
    progress.stage("sentences", Some(sentences.rows.len() as u64));

    let line = |number: usize, row: &TextRow| format.line(row, sentences.labels[number].as_deref());

    let mut told = 0;
    let mut tell = |done: &augment::StreamProgress| {
        progress.advance(done.rows - told);
        told = done.rows;
    };
    Ok(stream.write(&sentences.rows, vary, line, &mut tell, signals::is_interrupted)?)
}

fn columns(args: &Args) -> Columns {
    Columns {
        text: args.text.clone(),
        pair: args.pair.clone(),
        label: (!args.label.is_empty()).then(|| args.label.clone()),
        kind: LabelKind::Class,
        header: if args.no_header { Header::Absent } else { Header::Present },
        ragged: Ragged::Refuse,
        missing_label: MissingLabel::Refuse,
    }
}

fn label(label: Option<&Label>) -> Option<String> {
    match label? {
        Label::Class(name) => Some(name.clone()),
        Label::Score(score) => Some(score.to_string()),
    }
}

/// The vectors of words that are more than one token.
fn vectors<'s>(
    args: &Args,
    sentences: impl Iterator<Item = &'s str> + Clone,
    tokenizer: &Tokenizer,
    source: &ModelSource,
) -> Result<Vectors> {
    match args.vectors.as_deref().unwrap_or("train") {
        "train" => Ok(train_vectors(
            sentences,
            &TrainVectors { seed: args.seed, ..TrainVectors::default() },
        )),
        "model" => table(tokenizer, source),
        file => Ok(Vectors::open(Path::new(file), VECTORS)?),
    }
}

/// The rows of a model's token table that begin a word. A word of several tokens is not among them,
/// and is kept.
fn table(tokenizer: &Tokenizer, source: &ModelSource) -> Result<Vectors> {
    let weights = source.weights()?;
    let table = weights
        .get("encoder.embeddings.tokens")
        .ok_or_else(|| BadInput("--vectors model: the model has no token table".to_owned()))?;
    let width = table.shape[1];

    let (mut words, mut values) = (Vec::new(), Vec::new());
    let specials = tokenizer.all_special_ids();
    for (id, row) in (0u32..).zip(table.values.chunks_exact(width)) {
        if tokenizer.begins_word(id) && specials.binary_search(&id).is_err() {
            words.push(tokenizer.decode(&[id]).trim().to_owned());
            values.extend_from_slice(row);
        }
    }
    Ok(Vectors::from_table(words, values))
}
