//! The command line: one file per subcommand.

mod args;
mod augment;
mod compare;
mod completions;
mod corpus;
mod data;
mod devices;
mod distill;
mod eval;
mod export;
mod fill_mask;
mod finetune;
mod import;
mod inspect;
mod man;
mod output;
mod paint;
mod predict;
mod pretrain;
mod tokenizer;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::{progress, signals};

/// Pretrain BERT-like encoders with different objectives, evaluate them, compare them fairly.
///
/// Results go to stdout, progress and messages to stderr. Nothing goes to the network.
#[derive(Debug, Parser)]
#[command(name = "bert-variants", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 done, 1 runtime failure, 2 usage, 3 bad configuration or data, \
                  4 diverged, 5 device or memory, 130/143 interrupted after saving."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "made once, when the command line is parsed")]
enum Command {
    /// Pretrain an encoder on text; the same command again continues where it stopped.
    Pretrain(pretrain::Args),
    /// Evaluate a run, a checkpoint or a Hugging Face folder.
    Eval(eval::Args),
    /// Show what an objective does to a text.
    Inspect(inspect::Args),
    /// Compare runs: one table, one page with plots.
    Compare(compare::Args),
    /// Learn labelled data from a pretrained model: classes, scores, tags, answers.
    Finetune(Box<finetune::Args>),
    /// Learn from a teacher: DistilBERT, TinyBERT, a BiLSTM.
    Distill(Box<distill::Args>),
    /// Make more sentences out of few, for distillation.
    Augment(augment::Args),
    /// Use a fine-tuned model on new text.
    Predict(predict::Args),
    /// The most probable tokens at masks of a text.
    FillMask(fill_mask::Args),
    /// Write a model as transformers reads it.
    Export(export::Args),
    /// Read a Hugging Face folder into this program's own format.
    Import(import::Args),
    /// Tokenise text ahead of time, or count what is in it.
    #[command(subcommand)]
    Corpus(corpus::Command),
    /// Train a tokenizer.
    #[command(subcommand)]
    Tokenizer(tokenizer::Command),
    /// List the backends of this build and what each finds on this machine.
    Devices(devices::Args),
    /// Print completions for a shell.
    Completions(completions::Args),
    /// Print the manual page, or write one for each command.
    Man(man::Args),
}

/// Parses the command line and runs it.
///
/// # Errors
/// Whatever the subcommand met; `exit::code` tells the exit code.
pub fn run() -> Result<()> {
    let cli = Cli::parse();

    let filter =
        EnvFilter::try_from_env("BERT_VARIANTS_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(progress::animated())
        .without_time()
        .with_target(false)
        .init();
    signals::listen()?;

    match cli.command {
        Command::Pretrain(args) => pretrain::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Finetune(args) => finetune::run(&args),
        Command::Distill(args) => distill::run(&args),
        Command::Augment(args) => augment::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::FillMask(args) => fill_mask::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Corpus(command) => corpus::run(command),
        Command::Tokenizer(command) => tokenizer::run(command),
        Command::Devices(args) => devices::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
    }
}
