//! `corpus build` and `corpus stats`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
use corpus::{NgramConfig, Ngrams};

use serde_json::json;
use settings::Layers;

use super::args::{ConfigArgs, use_threads};
use super::output::{OutputFormat, report};
use crate::progress::Progress;
use crate::run::PreparedText;

/// What to do with a text.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tokenise text into the cache, ahead of time and in bounded memory.
    Build(Args),
    /// Count what is in a text: documents, sentences, words, tokens, duplicates, unigram entropy.
    Stats(Args),
    /// Learn which words belong together, for masks with `unit = "pmi"` (PMI-Masking).
    Ngrams(NgramArgs),
}

/// Flags of `corpus ngrams`.
#[derive(Debug, ClapArgs)]
pub struct NgramArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where to write the n-grams, as JSON lines.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Most n-grams: half of them of two words, a quarter of three, an eighth each of four and
    /// five.
    #[arg(long, value_name = "N", default_value_t = NgramConfig::default().size)]
    size: usize,
    /// Fewest occurrences of an n-gram.
    #[arg(long, value_name = "N", default_value_t = NgramConfig::default().min_count)]
    min_count: u64,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Flags of `corpus build` and `corpus stats`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Validation text, whose unigram cross-entropy is counted as well.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    valid: Vec<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs `corpus build`, `corpus stats` or `corpus ngrams`.
///
/// # Errors
/// When text or tokenizer cannot be used, or the disk is full.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Build(args) => build(&args, Figures::Size),
        Command::Stats(args) => build(&args, Figures::All),
        Command::Ngrams(args) => ngrams(&args),
    }
}

/// Figures about a text.
#[derive(PartialEq)]
enum Figures {
    /// How long it is.
    Size,
    /// All that is counted.
    All,
}

/// Learns n-grams and writes them.
fn ngrams(args: &NgramArgs) -> Result<()> {
    let mut layers = args.config.below(Layers::default())?;
    layers.set("corpus.valid_fraction", 0.0);
    let config = args.config.resolve(layers)?;
    use_threads(config.threads)?;

    let progress = Progress::default();
    let text = PreparedText::new(&config, &progress)?;
    let settings = NgramConfig { min_count: args.min_count, size: args.size };
    let ngrams = Ngrams::learn(&text.train.corpus, settings, &progress)?;
    Ngrams::write(&args.out, &text.tokenizer, &ngrams)?;

    let count = |words: usize| ngrams.iter().filter(|ngram| ngram.words == words).count();
    let document = json!({
        "file": args.out,
        "ngrams": ngrams.len(),
        "of_2_words": count(2),
        "of_3_words": count(3),
        "of_4_words": count(4),
        "of_5_words": count(5),
    });
    report(OutputFormat::of_flag(args.json), &document)
}

/// Tokenises a text and shows figures about it.
fn build(args: &Args, figures: Figures) -> Result<()> {
    let mut layers = args.config.below(Layers::default())?;
    layers.set("corpus.valid_fraction", 0.0);
    if !args.valid.is_empty() {
        layers.set("corpus.valid", args.valid.clone());
    }

    let config = args.config.resolve(layers)?;
    use_threads(config.threads)?;

    let text = PreparedText::new(&config, &Progress::default())?;
    let train = &text.train.corpus;
    let mut document = json!({"folder": train.folder(), "tokenizer": text.tokenizer.hash()});

    if figures == Figures::All {
        for (name, value) in
            serde_json::to_value(train.statistics())?.as_object().into_iter().flatten()
        {
            document[name] = value.clone();
        }

        let counts = train.token_counts();
        document["unigram_entropy"] = json!(corpus::unigram_cross_entropy(counts, counts, 0.0));

        if let Some(valid) = &text.valid {
            let counts = valid.corpus.token_counts();
            document["valid_tokens"] = json!(valid.corpus.tokens());
            document["valid_unigram_entropy"] =
                json!(corpus::unigram_cross_entropy(counts, counts, 0.0));
            let under_training = corpus::unigram_cross_entropy(train.token_counts(), counts, 1.0);
            document["valid_unigram_cross_entropy"] = json!(under_training);
        }
    } else {
        document["tokens"] = json!(train.tokens());
        document["documents"] = json!(train.documents());
    }

    report(OutputFormat::of_flag(args.json), &document)
}
