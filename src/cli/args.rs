//! Flags that several subcommands share, and how they become a configuration.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use settings::Layers;

use crate::backend::Backend;
use crate::config::{PRESETS, RunConfig, preset};
use crate::exit::{BadInput, Usage};
use crate::registry::{self, OBJECTIVES};

/// Where a configuration comes from: preset, then file, then flags.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The objective.
    #[arg(long, value_parser = objectives())]
    pub objective: Option<String>,
    /// A compiled-in preset.
    #[arg(long, value_parser = presets())]
    pub preset: Option<String>,
    /// A TOML file, such as the run.toml of another run.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Any key of the configuration, such as encoder.layers=4; may be repeated.
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    pub set: Vec<String>,
    /// Text: files, folders or globs of .txt, .jsonl, .ndjson, .csv, .tsv (each also .gz, .zst, .bz2,
    /// .xz) and .parquet.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub corpus: Vec<String>,
    /// What separates documents in text files: line, blank-line or file.
    #[arg(long, value_parser = ["line", "blank-line", "file"])]
    pub document: Option<String>,
    /// The text field of JSON lines, or the text column of tables (CSV, TSV, Parquet).
    #[arg(long, value_name = "NAME")]
    pub text_field: Option<String>,
    /// A tokenizer file or folder, or train:MODEL:SIZE (wordpiece, bpe, unigram).
    #[arg(long, value_name = "FILE|train:MODEL:SIZE")]
    pub tokenizer: Option<String>,
    /// A file of tokens, one a line, to give to the tokenizer after its own. With --init, each
    /// starts as the mean of the pieces that it was before.
    #[arg(long, value_name = "FILE")]
    pub add_tokens: Option<PathBuf>,
    /// Longest sequence in tokens, special tokens included.
    #[arg(long, value_name = "N")]
    pub max_length: Option<u64>,
    /// Folder for tokenised text and trained tokenizers.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Seed of weights, data order, masks and dropout.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Threads; 0: all cores. Does not change any result on the CPU.
    #[arg(long, value_name = "N")]
    pub threads: Option<u64>,
}

impl ConfigArgs {
    /// `layers` with preset and file on top.
    ///
    /// # Errors
    /// When there is no such preset or file, or the file is no TOML.
    pub fn below(&self, mut layers: Layers) -> Result<Layers> {
        layers.lay_under("objective.name", registry::DEFAULT);
        if let Some(name) = &self.preset {
            layers.lay(preset(name)?);
        }
        if let Some(path) = &self.config {
            let text = std::fs::read_to_string(path)
                .map_err(|error| BadInput(format!("cannot read {}: {error}", path.display())))?;
            let table = text.parse().map_err(|error: toml::de::Error| BadInput(error.to_string()));
            layers.lay(table.with_context(|| format!("{} is no TOML file", path.display()))?);
        }
        Ok(layers)
    }

    /// Whether the command line names a tokenizer.
    pub fn names_tokenizer(&self) -> bool {
        let names = |assignment: &String| {
            assignment.split('=').next().is_some_and(|path| path.trim() == "corpus.tokenizer")
        };
        self.tokenizer.is_some() || self.set.iter().any(names)
    }

    /// Lays the flags on top and resolves the whole.
    ///
    /// # Errors
    /// Names the key that is unknown or cannot be.
    pub fn resolve(&self, mut layers: Layers) -> Result<RunConfig> {
        let text = |layers: &mut Layers, path: &str, value: &Option<String>| {
            if let Some(value) = value {
                layers.set(path, value.clone());
            }
        };

        text(&mut layers, "objective.name", &self.objective);
        text(&mut layers, "corpus.document", &self.document);
        text(&mut layers, "corpus.text_field", &self.text_field);
        text(&mut layers, "corpus.tokenizer", &self.tokenizer);
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        text(&mut layers, "corpus.add_tokens", &path(&self.add_tokens));
        text(&mut layers, "corpus.cache", &path(&self.cache));

        for (path, value) in
            [("corpus.max_length", self.max_length), ("seed", self.seed), ("threads", self.threads)]
        {
            if let Some(value) = value {
                layers.set(path, value as i64);
            }
        }

        if !self.corpus.is_empty() {
            layers.set("corpus.paths", self.corpus.clone());
        }

        for assignment in &self.set {
            layers.assign(assignment)?;
        }

        registry::resolve(layers.resolve()?)
    }
}

/// Where to compute.
#[derive(Debug, Args)]
pub struct BackendArgs {
    /// Where to compute.
    #[arg(long, value_enum)]
    pub backend: Option<Backend>,
}

/// Refuses the first flag that is given and would do nothing.
///
/// # Errors
/// Names the flag, and `why` it would do nothing.
pub fn refuse(flags: &[(&str, bool)], why: &str) -> Result<(), Usage> {
    match flags.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Usage(format!("{flag}: {why}"))),
        None => Ok(()),
    }
}

/// More threads than any machine has cores.
const MOST_THREADS: usize = 1024;

/// Sets the number of threads of this process; 0: all cores.
///
/// # Errors
/// When there are too many, or they cannot be started.
pub fn use_threads(threads: usize) -> Result<()> {
    if threads > MOST_THREADS {
        return Err(BadInput(format!("threads = {threads}: must be at most {MOST_THREADS}")).into());
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .context("cannot start threads")
}

fn objectives() -> PossibleValuesParser {
    OBJECTIVES.iter().map(|entry| PossibleValue::new(entry.name).help(entry.about)).into()
}

fn presets() -> PossibleValuesParser {
    PRESETS.iter().map(|(name, _)| PossibleValue::new(*name)).into()
}
