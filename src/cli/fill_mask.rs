//! `fill-mask`: the most probable tokens at masked places of a text.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;
use objective::Objective;
use serde_json::{Value, json};

use super::args::use_threads;
use super::print;
use super::report::table;
use crate::backend::Backend;
use crate::eval::fill::{Blank, logits};
use crate::exit::{BadInput, Usage};
use crate::model::{self, Found, Loaded};
use crate::registry;

/// Flags of `fill-mask`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A run's folder, a checkpoint in it, an imported model or a Hugging Face folder.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Text with [MASK] (or the model's own mask token) in one or more places.
    #[arg(long, value_name = "TEXT", required = true, num_args = 1..)]
    text: Vec<String>,
    /// Tokens for each place.
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

/// Fills masks with a model of the objective that it is of.
#[derive(Debug)]
pub struct FillMaskJob<'a> {
    args: &'a Args,
    found: &'a Found,
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
    let found = model::find(&args.model)?;
    anstream::eprintln!("model: {}", found.describe());
    (registry::find(found.objective()?)?.fill_mask)(&FillMaskJob { args, found: &found })
}

/// Fills masks with a model of the objective `O`.
///
/// # Errors
/// As [`run`].
pub fn fill_mask<O: Objective>(job: &FillMaskJob<'_>) -> Result<()> {
    let loaded: Loaded<O> = model::load(job.found, &job.args.backend.open()?)?;
    let mut documents = Vec::new();
    for text in &job.args.text {
        let places = fill(&loaded, text, job.args.top)?;
        if job.args.json {
            documents.push(json!({"text": text, "masks": places.iter().map(|place| -> Value {
                place.iter().map(|(token, probability)| json!({"token": token, "probability": probability})).collect()
            }).collect::<Vec<_>>()}));
            continue;
        }
        for (number, place) in places.iter().enumerate() {
            let mut rows = table(&[&format!("mask {} of \"{text}\"", number + 1), "probability"]);
            for (token, probability) in place {
                rows.add_row([token.clone(), format!("{probability:.4}")]);
            }
            print(&rows.to_string())?;
        }
    }
    if job.args.json { print(&serde_json::to_string_pretty(&documents)?) } else { Ok(()) }
}

/// For each mask of `text` the `top` most probable tokens with their probabilities.
fn fill<O: Objective>(
    loaded: &Loaded<O>,
    text: &str,
    top: usize,
) -> Result<Vec<Vec<(String, f32)>>> {
    let specials = loaded.tokenizer.specials();
    let own = loaded.tokenizer.token(specials.mask).unwrap_or_default();
    let mask = if text.contains(own) { own } else { "[MASK]" };
    let (mut tokens, mut places) = (vec![specials.cls], Vec::new());
    for (number, part) in text.split(mask).enumerate() {
        if number > 0 {
            places.push(tokens.len() as u32);
            tokens.push(specials.mask);
        }
        // RoBERTa's mask takes the space before it; the others do not care for it.
        tokens.extend(loaded.tokenizer.encode(part.trim_end_matches(' ')).tokens);
    }
    tokens.push(specials.sep);
    if places.is_empty() {
        return Err(BadInput(format!(
            "\"{text}\" has no {mask}; write it where a token is to be predicted"
        ))
        .into());
    }
    if tokens.len() > loaded.positions {
        let (length, positions) = (tokens.len(), loaded.positions);
        return Err(BadInput(format!(
            "\"{text}\" has {length} tokens, the model takes {positions}"
        ))
        .into());
    }
    let logits = logits(loaded, &[Blank { tokens: &tokens, segments: &[], places: &places }])?;
    let [_, vocabulary] = logits.dims();
    let probabilities = burn::tensor::activation::softmax(logits, 1);
    let probabilities: Vec<f32> = probabilities.into_data().iter::<f32>().collect();
    let best = |row: &[f32]| {
        let mut order: Vec<u32> = (0..row.len() as u32).collect();
        order.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b)));
        let named = |id: &u32| Some((loaded.tokenizer.token(*id)?.to_owned(), row[*id as usize]));
        order.iter().filter_map(named).take(top).collect()
    };
    Ok(probabilities.chunks(vocabulary).map(best).collect())
}
