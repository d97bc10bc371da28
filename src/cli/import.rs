//! `import`: a Hugging Face folder in this program's own format.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;
use corpus::Tokenizer;
use hub::Architecture;

use super::output::print;
use crate::backend::Backend;
use crate::exit::BadInput;
use crate::model::ModelSource;
use crate::registry;

/// Flags of `import`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A Hugging Face folder: config.json, weights (model.safetensors or pytorch_model.bin, whole or
    /// in shards) and a tokenizer.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Runs `import`.
///
/// # Errors
/// When the folder cannot be read, holds what is not known, or the other cannot be written.
pub fn run(args: &Args) -> Result<()> {
    if !hub::is_hub_folder(&args.from) {
        return Err(BadInput(format!("{} has no config.json", args.from.display())).into());
    }

    let model = hub::read(&args.from)?;
    let tokenizer = Tokenizer::open(&args.from)?;
    let source = ModelSource::Hub { folder: args.from.clone(), model: Box::new(model.clone()) };
    // Checks the tokenizer against the token table.
    source.encoder()?;
    if model.architecture != Architecture::Encoder {
        // A trial load refuses a model that cannot be used. A bare encoder is no model of an
        // objective; others start from it.
        (registry::of_model(&source)?.load)(&source, &Backend::Cpu.open()?)?;
    }

    hub::write_native(&args.to, &model, &tokenizer)?;
    let unused = if model.unused.is_empty() {
        String::new()
    } else {
        format!("; not used: {}", model.unused.join(", "))
    };
    let (to, class, tensors) = (args.to.display(), model.class(), model.weights.len());
    print(&format!("{to}: {class}, {tensors} tensors{unused}"))
}
