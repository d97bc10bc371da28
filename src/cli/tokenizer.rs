//! `tokenizer train`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;
use settings::Layers;

use super::args::{ConfigArgs, use_threads};
use super::output::{OutputFormat, report};
use crate::exit::Usage;
use crate::progress::Progress;
use crate::run::{cache_folder, open_text, open_tokenizer};

/// What to do with a tokenizer.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a tokenizer on text and write its tokenizer.json.
    Train(Args),
}

/// Flags of `tokenizer train`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The file to write.
    #[arg(long, value_name = "FILE.json")]
    out: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs `tokenizer train`.
///
/// # Errors
/// When the text cannot be read, the size cannot be reached, or the file cannot be written.
pub fn run(command: Command) -> Result<()> {
    let Command::Train(args) = command;
    let config = args.config.resolve(args.config.below(Layers::default())?)?;
    if !config.corpus.tokenizer.starts_with("train:") {
        return Err(Usage("tokenizer train needs --tokenizer train:MODEL:SIZE".to_owned()).into());
    }

    use_threads(config.threads)?;
    let text = open_text(&config.corpus, &config.corpus.paths)?;
    let cache = cache_folder(&config.corpus)?;
    let tokenizer = open_tokenizer(&config.corpus, Some(&text), &cache, &Progress::default())?;
    tokenizer.save(&args.out)?;

    let document = json!({
        "file": args.out, "tokens": tokenizer.vocabulary_size(), "hash": tokenizer.hash(),
    });
    report(OutputFormat::of_flag(args.json), &document)
}
