//! Flags of `augment`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use augment::{Behaviour, copies_of};
use clap::{Args as ClapArgs, ValueEnum};

use crate::backend::Backend;
use crate::cli::args::refuse;
use crate::exit::Usage;
use crate::model::ModelSource;

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
    pub method: Method,
    /// A masked language model: a run, a checkpoint or a Hugging Face folder. Method tang takes
    /// only its mask token.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// A table of sentences or pairs: TSV, CSV or JSON lines.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// The table with the variants: every row of the input, and after it those of its variants that
    /// stand nowhere else in the table; in the format that its ending tells. An interrupted command
    /// continues when it is given again.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// The column of the sentence.
    #[arg(long, value_name = "COLUMN", default_value = "sentence")]
    pub text: String,
    /// The column of the second sentence.
    #[arg(long, value_name = "COLUMN")]
    pub pair: Option<String>,
    /// The column of the label, which is carried over; the empty word for none.
    #[arg(long, value_name = "COLUMN", default_value = "label")]
    pub label: String,
    /// The file has no line that names the columns; they are called 0, 1, 2 and so on.
    #[arg(long)]
    pub no_header: bool,
    /// Variants of a sentence. Left out: 20 (tinybert; of the tasks of GLUE as in the paper's code
    /// with --task), and 20 for sentences, 10 for pairs (tang).
    #[arg(long, value_name = "N")]
    pub copies: Option<usize>,
    /// Take the number of variants of this task of GLUE.
    #[arg(long, value_name = "NAME", conflicts_with = "copies")]
    pub task: Option<String>,
    /// Candidates of a word (tinybert): 15.
    #[arg(long, value_name = "N")]
    pub candidates: Option<usize>,
    /// How often a word is replaced: 0.4 (tinybert), 0.1 (tang).
    #[arg(long, value_name = "P")]
    pub replace: Option<f64>,
    /// How often a word is masked (tang): 0.1.
    #[arg(long, value_name = "P")]
    pub mask: Option<f64>,
    /// How often only an n-gram is kept (tang): 0.25.
    #[arg(long, value_name = "P")]
    pub ngram: Option<f64>,
    /// Word vectors (tinybert): train (left out; from the sentences of --input), model (the model's
    /// token table), or a file of word2vec's text format, GloVe or fastText, also .gz.
    #[arg(long, value_name = "train|model|FILE")]
    pub vectors: Option<String>,
    /// Parts of speech, which tang needs: a file of lines with a word, a tag and perhaps a count,
    /// tabs between, from any tagger; words that are not in it go by their endings.
    #[arg(long, value_name = "FILE")]
    pub tags: Option<PathBuf>,
    /// Do as the papers' code does, where it differs from the papers.
    #[arg(long)]
    pub authors: bool,
    /// Seed of all draws.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t)]
    pub backend: Backend,
    /// Threads; 0: all cores. Does not change the file.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Print the summary as one JSON document.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// Checks the flags against each other.
    ///
    /// # Errors
    /// Names the first flag that cannot be, or that would do nothing.
    pub fn check(&self) -> Result<(), Usage> {
        let shares = [("--mask", self.mask), ("--ngram", self.ngram), ("--replace", self.replace)];
        for (flag, value) in shares.iter().filter_map(|(flag, value)| Some((flag, (*value)?))) {
            if !(0.0..=1.0).contains(&value) {
                return Err(Usage(format!("{flag} {value}: must be between 0 and 1")));
            }
        }
        if self.candidates == Some(0) || self.copies == Some(0) {
            return Err(Usage("--candidates and --copies must be at least 1".to_owned()));
        }

        let of_tang = [
            ("--mask", self.mask.is_some()),
            ("--ngram", self.ngram.is_some()),
            ("--tags", self.tags.is_some()),
        ];
        let of_tinybert =
            [("--candidates", self.candidates.is_some()), ("--vectors", self.vectors.is_some())];
        match self.method {
            Method::Tinybert => refuse(&of_tang, "--method tinybert does nothing with it"),
            Method::Tang => refuse(&of_tinybert, "--method tang does nothing with it"),
        }
    }

    /// Whether to follow the papers or their code.
    pub fn behaviour(&self) -> Behaviour {
        if self.authors { Behaviour::Authors } else { Behaviour::Clean }
    }

    /// The number of variants, where the flags give one.
    ///
    /// # Errors
    /// When the task is unknown.
    pub fn copies(&self) -> Result<Option<usize>, Usage> {
        let Some(task) = &self.task else { return Ok(self.copies) };
        let copies = copies_of(task).ok_or_else(|| {
            Usage(format!(
                "--task {task}: known: CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE; or write \
                 --copies N"
            ))
        })?;
        Ok(Some(copies))
    }

    /// Everything that determines the output, given the model in `source`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn identity(&self, source: &ModelSource) -> Result<String> {
        let vectors = Path::new(self.vectors.as_deref().unwrap_or("train"));
        let files =
            [Some(self.input.as_path()), self.tags.as_deref(), vectors.exists().then_some(vectors)];

        let mut hash = blake3::Hasher::new();
        for path in files.into_iter().flatten() {
            let context = || format!("cannot read {}", path.display());
            let file = std::fs::File::open(path).with_context(context)?;
            hash.update_reader(file).with_context(context)?;
        }

        let Self { method, model, text, pair, label, candidates, replace, .. } = self;
        let settings = (method, model, text, pair, label, self.copies()?, candidates, replace);
        let Self { mask, ngram, vectors, tags, authors, seed, output, .. } = self;
        let more = (mask, ngram, vectors, tags, authors, seed, output.extension());
        Ok(format!("{} {} {settings:?} {more:?}", hash.finalize(), source.describe()))
    }
}
