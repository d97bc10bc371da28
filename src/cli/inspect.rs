//! `inspect`: what an objective does to the user's own text, in colour.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;
use corpus::Tokenizer;
use objective::Shown;
use serde_json::{Value, json};
use settings::Layers;
use toml::Table;
use train::ShownExample;

use super::args::{ConfigArgs, use_threads};
use super::output::{print, print_json};
use super::paint::{legend, paint};
use crate::exit::Usage;
use crate::model::{self, ModelSource};
use crate::progress::Progress;
use crate::registry;
use crate::run::{InspectJob, PreparedText};

/// Flags of `inspect`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// How many passages are shown.
    #[arg(long, value_name = "N", default_value_t = 5)]
    count: u64,
    /// The epoch whose draws are shown; masks differ from epoch to epoch.
    #[arg(long, value_name = "N", default_value_t = 0)]
    epoch: u64,
    /// A trained run: its objective and tokenizer, and what its own generator writes, where the
    /// objective has one.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs `inspect`.
///
/// # Errors
/// When configuration, text or tokenizer cannot be used.
pub fn run(args: &Args) -> Result<()> {
    let mut layers = args.config.below(Layers::default())?;
    layers.set("corpus.valid_fraction", 0.0);
    let source = args.model.as_deref().map(model::find).transpose()?;
    if let Some(source) = &source {
        lay_model(&mut layers, source)?;
    }

    let config = args.config.resolve(layers)?;
    use_threads(config.threads)?;

    let text = PreparedText::new(&config, &Progress::default())?;
    let entry = registry::find(config.objective_name()?)?;
    let shown = (entry.inspect)(&InspectJob {
        config: &config,
        text: &text,
        count: args.count,
        epoch: args.epoch,
        model: source.as_ref(),
    })?;

    if args.json {
        let passages: Vec<Value> =
            shown.iter().map(|example| document(example, &text.tokenizer)).collect();
        return print_json(&json!({"objective": entry.name, "passages": passages}));
    }

    print(&legend())?;
    for ShownExample { tokens, caption } in &shown {
        let targets = tokens.iter().filter(|shown| shown.label.is_some()).count();
        let caption = caption.as_ref().map(|caption| format!("; {caption}")).unwrap_or_default();
        print(&format!("\n{} tokens, {targets} targets{caption}", tokens.len()))?;
        print(&paint(tokens, &text.tokenizer))?;
    }
    Ok(())
}

/// Lays objective, encoder and tokenizer of a trained run over `layers`.
fn lay_model(layers: &mut Layers, source: &ModelSource) -> Result<()> {
    let ModelSource::Run { config, run, .. } = source else {
        let message = "inspect --model needs a run's folder or a checkpoint in it";
        return Err(Usage(message.to_owned()).into());
    };

    layers.set("objective", config.objective.clone());
    layers.set("encoder", Table::try_from(&config.encoder)?);
    layers.set("corpus.max_length", config.corpus.max_length as i64);
    if config.teacher.exists() {
        layers.set("teacher", config.teacher.display().to_string());
    }
    layers.set("corpus.tokenizer", run.join("tokenizer.json").display().to_string());
    Ok(())
}

fn document(example: &ShownExample, tokenizer: &Tokenizer) -> Value {
    let name = |id: u32| tokenizer.token(id).unwrap_or_default();
    let token = |shown: &Shown| {
        json!({
            "token": name(shown.token),
            "label": shown.label.map(name),
            "mark": format!("{:?}", shown.mark).to_lowercase(),
            "segment": shown.segment,
        })
    };
    let tokens: Vec<Value> = example.tokens.iter().map(token).collect();
    json!({"caption": example.caption, "tokens": tokens})
}
