//! `export`: a model as a Hugging Face folder.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;

use super::print;
use crate::hub::{self, Family, HubModel, Run};
use crate::model::{self, Found};
use crate::train::weights;

/// Flags of `export`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A run's folder, a checkpoint in it, or an imported model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The folder to write; of replaced-token detection it gets the folders `discriminator` and
    /// `generator`.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Write it as this family; left out, the first one that computes the same.
    #[arg(long, value_enum)]
    family: Option<Family>,
}

/// Runs `export`.
///
/// # Errors
/// When the model cannot be read, has no counterpart in transformers, or the folder cannot be
/// written.
pub fn run(args: &Args) -> Result<()> {
    let found = model::find(&args.model)?;
    anstream::eprintln!("model: {}", found.describe());
    let tokenizer = found.tokenizer()?;
    let models: Vec<(&str, HubModel)> = match found {
        Found::Run { config, checkpoint, .. } => {
            let mut encoder = config.encoder.clone();
            model::fit_vocabulary(&mut encoder, &tokenizer)?;
            let weights = weights::read(&checkpoint.join("model.safetensors"))?;
            let (objective, knobs) = (config.objective_name()?, config.objective_knobs());
            hub::of_run(
                Run { objective, knobs: &knobs, encoder: &encoder, weights: &weights },
                args.family,
            )?
        }
        Found::Hub { model, .. } => vec![("", *model)],
    };
    for (name, model) in &models {
        let folder = if models.len() == 1 { args.to.clone() } else { args.to.join(name) };
        hub::write(&folder, model, &tokenizer)?;
        print(&format!("{}: {}", folder.display(), model.architecture.class(model.config.family)))?;
    }
    Ok(())
}
