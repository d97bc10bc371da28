//! `export`: a model as a Hugging Face folder.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use hub::{ExportedModel, Family, HubModel, TrainedModel};

use super::output::print;
use crate::model::{self, ModelSource};
use crate::registry;

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
    #[arg(long, value_parser = families())]
    family: Option<Family>,
}

fn families() -> impl TypedValueParser<Value = Family> {
    PossibleValuesParser::new(Family::ALL.map(Family::name))
        .map(|name| Family::find(&name).expect("a possible value"))
}

/// Runs `export`.
///
/// # Errors
/// When the model cannot be read, has no counterpart in transformers, or the folder cannot be
/// written.
pub fn run(args: &Args) -> Result<()> {
    let source = model::find(&args.model)?;
    anstream::eprintln!("model: {}", source.describe());

    let tokenizer = source.tokenizer()?;
    let models = match &source {
        ModelSource::Run { config, .. } => {
            let (encoder, weights) = (source.encoder()?, source.weights()?);
            let trained = TrainedModel { encoder: &encoder, weights: &weights };
            let entry = registry::of_model(&source)?;
            (entry.export)(config.objective_knobs(), trained, args.family)?
        }
        ModelSource::Hub { model, .. } => vec![ExportedModel::only(HubModel::clone(model))],
    };

    for ExportedModel { folder, model } in &models {
        let to = if models.len() == 1 { args.to.clone() } else { args.to.join(folder) };
        hub::write(&to, model, &tokenizer)?;
        print(&format!("{}: {}", to.display(), model.class()))?;
    }
    Ok(())
}
