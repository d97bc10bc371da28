//! `corpus build` and `corpus stats`.

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
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
}

/// Flags of both.
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

/// Runs `corpus build` or `corpus stats`.
///
/// # Errors
/// When text or tokenizer cannot be used, or the disk is full.
pub fn run(command: Command) -> Result<()> {
    let (Command::Build(args) | Command::Stats(args)) = &command;
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

    if let Command::Stats(_) = command {
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
