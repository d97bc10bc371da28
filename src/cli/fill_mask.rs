//! `fill-mask`: the most probable tokens at masks of a text.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;
use eval::fill_mask::{TokenProbability, fill_mask};
use serde_json::{Value, json};

use super::args::use_threads;
use super::output::{print, print_json, table};
use crate::backend::Backend;
use crate::exit::Usage;
use crate::model;
use crate::registry;

/// Flags of `fill-mask`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A run's folder, a checkpoint in it, an imported model or a Hugging Face folder.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Text with one or more [MASK], or the model's own mask token.
    #[arg(long, value_name = "TEXT", required = true, num_args = 1..)]
    text: Vec<String>,
    /// Tokens for each mask.
    #[arg(long, value_name = "K", default_value_t = 5)]
    top: usize,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t)]
    backend: Backend,
    /// Threads; 0: all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs `fill-mask`.
///
/// # Errors
/// When the model predicts no tokens, or a text has no mask or is too long.
pub fn run(args: &Args) -> Result<()> {
    if args.top == 0 {
        return Err(Usage("--top 0: must be at least 1".to_owned()).into());
    }

    use_threads(args.threads)?;
    let source = model::find(&args.model)?;
    anstream::eprintln!("model: {}", source.describe());
    let loaded = (registry::of_model(&source)?.load)(&source, &args.backend.open()?)?;

    let mut documents = Vec::new();
    for text in &args.text {
        let masks = fill_mask(loaded.model.as_ref(), text, args.top)?;
        if args.json {
            documents.push(document(text, &masks));
        } else {
            print_tables(text, &masks)?;
        }
    }
    if args.json { print_json(&documents.into()) } else { Ok(()) }
}

fn document(text: &str, masks: &[Vec<TokenProbability>]) -> Value {
    let token = |found: &TokenProbability| {
        let TokenProbability { token, probability } = found;
        json!({"token": token, "probability": probability})
    };
    let masks: Vec<Value> = masks.iter().map(|mask| mask.iter().map(token).collect()).collect();
    json!({"text": text, "masks": masks})
}

fn print_tables(text: &str, masks: &[Vec<TokenProbability>]) -> Result<()> {
    for (number, mask) in masks.iter().enumerate() {
        let mut rows = table(&[&format!("mask {} of \"{text}\"", number + 1), "probability"]);
        for TokenProbability { token, probability } in mask {
            rows.add_row([token.clone(), format!("{probability:.4}")]);
        }
        print(&rows.to_string())?;
    }
    Ok(())
}
