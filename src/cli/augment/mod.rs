//! `augment`: more sentences out of few.

mod asked;
mod format;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use augment::{
    Behaviour, Lexicon, Row, Sought, Stream, Tang, Tinybert, TrainVectors, Unigrams, Vectors,
    copies_of, train_vectors,
};
use clap::{Args as ClapArgs, ValueEnum};
use corpus::{Tokenizer, Watch};
use objective::Objective;
use rayon::prelude::*;
use serde_json::json;
use tasks::{Columns, Example, Header, Label, LabelKind, Ragged, Table};

use self::asked::Asked;
use self::format::Format;
use super::args::{refuse, use_threads};
use super::report::report;
use crate::backend::Backend;
use crate::exit::{BadInput, Usage};
use crate::model::{self, Found, Loaded};
use crate::progress::Progress;
use crate::{registry, signals};

/// How sentences are varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Words replaced by candidates of a masked language model and by nearest word vectors (Jiao et
    /// al. 2020).
    Tinybert,
    /// Words masked or replaced by their part of speech, and n-grams (Tang et al. 2019).
    Tang,
}

/// Flags of `augment`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// How sentences are varied.
    #[arg(long, value_enum)]
    method: Method,
    /// A masked language model: a run, a checkpoint or a Hugging Face folder. Method tang takes
    /// only its mask token.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// A table of sentences or pairs: TSV, CSV or JSON lines.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The table with the variants: every row of the input, and after it those of its variants that
    /// stand nowhere else in the table; in the format that its ending tells. An interrupted command
    /// continues when it is given again.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// The column of the sentence.
    #[arg(long, value_name = "COLUMN", default_value = "sentence")]
    text: String,
    /// The column of the second sentence.
    #[arg(long, value_name = "COLUMN")]
    pair: Option<String>,
    /// The column of the label, which is carried over; the empty word for none.
    #[arg(long, value_name = "COLUMN", default_value = "label")]
    label: String,
    /// The file has no line that names the columns; they are called 0, 1, 2 and so on.
    #[arg(long)]
    no_header: bool,
    /// Variants of a sentence. Left out: 20 (tinybert; of the tasks of GLUE as in the paper's code
    /// with --task), and 20 for sentences, 10 for pairs (tang).
    #[arg(long, value_name = "N")]
    copies: Option<usize>,
    /// Take the number of variants of this task of GLUE.
    #[arg(long, value_name = "NAME", conflicts_with = "copies")]
    task: Option<String>,
    /// Candidates of a word (tinybert): 15.
    #[arg(long, value_name = "N")]
    candidates: Option<usize>,
    /// How often a word is replaced: 0.4 (tinybert), 0.1 (tang).
    #[arg(long, value_name = "P")]
    replace: Option<f64>,
    /// How often a word is masked (tang): 0.1.
    #[arg(long, value_name = "P")]
    mask: Option<f64>,
    /// How often only an n-gram is kept (tang): 0.25.
    #[arg(long, value_name = "P")]
    ngram: Option<f64>,
    /// Word vectors (tinybert): train (left out; from the sentences of --input), model (the model's
    /// token table), or a file of word2vec's text format, GloVe or fastText, also .gz.
    #[arg(long, value_name = "train|model|FILE")]
    vectors: Option<String>,
    /// Parts of speech, which tang needs: a file of lines with a word, a tag and perhaps a count,
    /// tabs between, from any tagger; words that are not in it go by their endings.
    #[arg(long, value_name = "FILE")]
    tags: Option<PathBuf>,
    /// Do as the papers' code does, where it differs from the papers.
    #[arg(long)]
    authors: bool,
    /// Seed of all draws.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t)]
    backend: Backend,
    /// Threads; 0: all cores. Does not change the file.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print the summary as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Rows whose queries go to the model together.
const CHUNK: usize = 128;
/// The authors read so many of a file of word vectors.
const VECTORS: usize = 100_000;

/// An augmentation, for the objective whose model it is.
#[derive(Debug)]
pub struct AugmentJob<'a> {
    args: &'a Args,
    found: &'a Found,
}

/// Runs `augment`.
///
/// # Errors
/// When the input or the model cannot be used, the output is there already, or a signal asks to
/// stop.
pub fn run(args: &Args) -> Result<()> {
    let shares = [("--mask", args.mask), ("--ngram", args.ngram), ("--replace", args.replace)];
    for (flag, value) in shares.iter().filter_map(|(flag, value)| Some((flag, (*value)?))) {
        if !(0.0..=1.0).contains(&value) {
            return Err(Usage(format!("{flag} {value}: must be between 0 and 1")).into());
        }
    }
    let (method, useless) = match args.method {
        Method::Tinybert => (
            "tinybert",
            vec![
                ("--mask", args.mask.is_some()),
                ("--ngram", args.ngram.is_some()),
                ("--tags", args.tags.is_some()),
            ],
        ),
        Method::Tang => (
            "tang",
            vec![
                ("--candidates", args.candidates.is_some()),
                ("--vectors", args.vectors.is_some()),
            ],
        ),
    };
    refuse(&useless, &format!("--method {method} does nothing with it"))?;
    if args.candidates == Some(0) || args.copies == Some(0) {
        return Err(Usage("--candidates and --copies must be at least 1".to_owned()).into());
    }
    use_threads(args.threads)?;
    let found = model::find(&args.model)?;
    anstream::eprintln!("model: {}", found.describe());
    (registry::find(found.objective()?)?.augment)(&AugmentJob { args, found: &found })
}

/// Varies sentences with a model of the objective `O`.
///
/// # Errors
/// As [`run`].
pub fn augment<O: Objective>(job: &AugmentJob<'_>) -> Result<()> {
    let args = job.args;
    let format = Format::of(args)?;
    let identity = identity(args, job.found)?;
    let stream = Stream { output: &args.output, identity, header: format.header(), chunk: CHUNK };
    stream.check()?;
    let table = Table::open(&args.input, &columns(args))?;
    let row =
        |example: &Example| Row { first: example.first.clone(), second: example.second.clone() };
    let rows: Vec<Row> = table.examples.iter().map(row).collect();
    let labels: Vec<Option<String>> =
        table.examples.iter().map(|example| label(example.label.as_ref())).collect();
    let behaviour = if args.authors { Behaviour::Authors } else { Behaviour::Clean };
    let progress = Progress::of_things();
    progress.stage("sentences", Some(rows.len() as u64));
    let started = Instant::now();
    let line = |number: usize, row: &Row| format.line(row, labels[number].as_deref());
    let mut told = 0;
    let mut tell = |done: &augment::Progress| {
        progress.advance(done.rows - told);
        told = done.rows;
    };
    let stop = || signals::received().is_some();
    let sentences = rows
        .iter()
        .flat_map(|row| std::iter::once(row.first.as_str()).chain(row.second.as_deref()));
    let done = match args.method {
        Method::Tinybert => {
            let loaded: Loaded<O> = model::load(job.found, &args.backend.open()?)?;
            let vectors = vectors(args, sentences.clone(), &loaded.tokenizer, job.found)?;
            let tinybert = Tinybert {
                copies: copies(args)?.unwrap_or(20),
                probability: args.replace.unwrap_or(0.4),
                behaviour,
            };
            let sought = Sought {
                tokenizer: &loaded.tokenizer,
                model: &Asked(&loaded),
                vectors: &vectors,
                count: args.candidates.unwrap_or(15),
                max_length: loaded.positions.min(128),
                behaviour,
            };
            let vary = |start: u64, rows: &[Row]| {
                let candidates = sought.of(rows)?;
                let numbered = rows.iter().zip(&candidates).zip(start..);
                Ok(numbered
                    .map(|((row, both), number)| tinybert.variants(row, number, args.seed, both))
                    .collect())
            };
            stream.write(&rows, vary, line, &mut tell, stop)
        }
        Method::Tang => {
            let path = args.tags.as_deref().ok_or_else(|| {
                Usage("--method tang needs --tags FILE, lines of word<TAB>tag that tell the parts of speech".to_owned())
            })?;
            let tagger = Lexicon::open(path)?;
            let words = Unigrams::count(sentences, &tagger);
            let tokenizer = job.found.tokenizer()?;
            let tang = Tang {
                iterations: copies(args)?.unwrap_or(if args.pair.is_some() { 10 } else { 20 }),
                mask: args.mask.unwrap_or(0.1),
                replace: args.replace.unwrap_or(0.1),
                ngram: args.ngram.unwrap_or(0.25),
                mask_text: tokenizer
                    .token(tokenizer.specials().mask)
                    .unwrap_or("[MASK]")
                    .to_owned(),
                behaviour,
            };
            let vary = |start: u64, rows: &[Row]| {
                let numbered = rows.par_iter().enumerate();
                let vary =
                    |(i, row)| tang.variants(row, start + i as u64, args.seed, &tagger, &words);
                Ok(numbered.map(vary).collect())
            };
            stream.write(&rows, vary, line, &mut tell, stop)
        }
    };
    if let Err(augment::Error::Interrupted) = &done {
        signals::check()?;
    }
    let (done, seconds) = (done?, started.elapsed().as_secs_f64());
    report(
        args.json,
        &json!({
            "output": args.output,
            "sentences": done.rows,
            "rows": done.written,
            "seconds": seconds,
            "rows_per_second": done.written as f64 / seconds,
        }),
    )
}

fn columns(args: &Args) -> Columns {
    Columns {
        text: args.text.clone(),
        pair: args.pair.clone(),
        label: (!args.label.is_empty()).then(|| args.label.clone()),
        kind: LabelKind::Class,
        header: if args.no_header { Header::Absent } else { Header::Present },
        ragged: Ragged::Refuse,
    }
}

fn label(label: Option<&Label>) -> Option<String> {
    match label? {
        Label::Class(name) => Some(name.clone()),
        Label::Score(score) => Some(score.to_string()),
    }
}

/// The number of variants that is asked for.
fn copies(args: &Args) -> Result<Option<usize>> {
    match &args.task {
        Some(task) => Ok(Some(copies_of(task).ok_or_else(|| {
            Usage(format!("--task {task}: known: CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE; or write --copies N"))
        })?)),
        None => Ok(args.copies),
    }
}

/// Everything that determines the file.
fn identity(args: &Args, found: &Found) -> Result<String> {
    let vectors = Path::new(args.vectors.as_deref().unwrap_or("train"));
    let named =
        [Some(args.input.as_path()), args.tags.as_deref(), vectors.exists().then_some(vectors)];
    let mut hash = blake3::Hasher::new();
    for path in named.into_iter().flatten() {
        let file =
            std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        hash.update_reader(file).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let Args {
        method,
        model,
        text,
        pair,
        label,
        candidates,
        replace,
        mask,
        ngram,
        vectors,
        tags,
        authors,
        seed,
        ..
    } = args;
    let settings = (method, model, text, pair, label, copies(args)?, candidates, replace);
    let more = (mask, ngram, vectors, tags, authors, seed, args.output.extension());
    Ok(format!("{} {} {settings:?} {more:?}", hash.finalize(), found.describe()))
}

/// The vectors of words that are more than one token.
fn vectors<'s>(
    args: &Args,
    sentences: impl Iterator<Item = &'s str> + Clone,
    tokenizer: &Tokenizer,
    found: &Found,
) -> Result<Vectors> {
    match args.vectors.as_deref().unwrap_or("train") {
        "train" => Ok(train_vectors(
            sentences,
            &TrainVectors { seed: args.seed, ..TrainVectors::default() },
        )),
        "model" => table(tokenizer, found),
        file => Ok(Vectors::open(Path::new(file), VECTORS)?),
    }
}

/// The rows of a model's token table that begin a word. A word of several tokens is not among them,
/// and keeps its place.
fn table(tokenizer: &Tokenizer, found: &Found) -> Result<Vectors> {
    let weights = found.weights()?;
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
