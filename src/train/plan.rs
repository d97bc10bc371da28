//! `--dry-run`: what a run would be.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use corpus::Tokenizer;
use objective::{Objective, Purpose};
use serde_json::json;
use std::time::Instant;
use trunk::{EncoderConfig, Noise};

use super::budget::Progress;
use super::feed::Recipe;
use super::run::PretrainJob;
use crate::backend::Backend;
use crate::cli::inspect::{legend, paint};
use crate::cli::print;
use crate::cli::report::report;
use crate::config::RunConfig;
use crate::exit::NoDevice;

/// Prints size, budget, estimated memory and time, and three examples. Two steps are computed to
/// estimate the time.
///
/// # Errors
/// When stdout cannot be written.
pub fn tell<O: Objective>(
    job: &PretrainJob<'_>,
    encoder: &EncoderConfig,
    recipe: &Recipe<O>,
    model: &O::Model,
    tokenizer: &Tokenizer,
    device: &Device,
) -> Result<()> {
    let config = job.config;
    let parameters = model.num_params();
    let batch = recipe.batch(0);
    let objective = recipe.objective.as_ref();
    let flops: f64 =
        batch.micro.iter().map(|micro| 3.0 * objective.flops(encoder, &micro.batch)).sum();
    let seconds = time_step(recipe, model, device);
    let one = Progress {
        step: 1,
        tokens: batch.tokens,
        epochs: config.batch.size as f64 / recipe.examples.len() as f64,
        flops,
        seconds,
    };
    let steps = whole_steps(config.budget.fraction(&one));
    let document = json!({
        "objective": O::NAME,
        "parameters": parameters,
        "vocabulary": encoder.vocabulary,
        "passages": recipe.examples.len(),
        "content_tokens": recipe.examples.tokens(),
        "steps": steps,
        "tokens": steps * batch.tokens as f64,
        "epochs": steps * one.epochs,
        "flops": steps * flops,
        "seconds_per_step": seconds,
        "minutes": steps * seconds / 60.0,
        "memory_megabytes": memory(config, encoder, parameters as f64) / 1e6,
    });
    report(job.json, &document)?;
    if job.json {
        return Ok(());
    }
    print(&format!("\nwhat the model is shown:  {}", legend()))?;
    let examples: Vec<_> = (0..recipe.examples.len().min(3))
        .map(|number| recipe.examples.get(number, recipe.seed, 0, objective))
        .collect();
    let batch = objective.collate(&examples, Purpose::Training);
    for row in 0..examples.len() {
        print(&format!("\n{}", paint(&objective.show(&batch, row), tokenizer)))?;
        if let Some(remark) = objective.remark(&batch, row) {
            print(&remark)?;
        }
    }
    Ok(())
}

/// The steps of a run of which one is `fraction`. The inverse of 1 / n may be a little more than n.
fn whole_steps(fraction: f64) -> f64 {
    (1.0 / fraction * (1.0 - 1e-12)).ceil().max(1.0)
}

/// Seconds of the second of two steps (the first one warms up), without the optimizer.
fn time_step<O: Objective>(recipe: &Recipe<O>, model: &O::Model, device: &Device) -> f64 {
    let mut seconds = 0.0;
    for step in 0..2 {
        let batch = recipe.batch(step * recipe.size as u64);
        let started = Instant::now();
        for micro in batch.micro {
            let noise = &mut Noise::new(micro.keys);
            let loss = recipe
                .objective
                .forward(model, &micro.batch, Some(noise), device)
                .loss(&batch.totals);
            let _ = loss.clone().into_scalar::<f32>();
            let _ = loss.backward();
        }
        seconds = started.elapsed().as_secs_f64();
    }
    seconds
}

/// Whether this machine has the memory to train the encoder on its CPU, as far as the operating
/// system tells.
///
/// # Errors
/// When it has not.
pub fn check_memory(config: &RunConfig, encoder: &EncoderConfig) -> Result<(), NoDevice> {
    if !matches!(config.backend, Backend::Cpu | Backend::Ndarray) {
        return Ok(());
    }
    // One layer's activations are there even where the others are computed again.
    let one = EncoderConfig { layers: 1, ..encoder.clone() };
    let needed = memory(config, &one, encoder.weights());
    match std::fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(total_memory) {
        Some(total) if needed > total => Err(NoDevice(format!(
            "training this model needs at least {:.0} GB of memory, this machine has {:.0}: make the encoder or the batch \
             smaller",
            needed / 1e9,
            total / 1e9
        ))),
        _ => Ok(()),
    }
}

/// The bytes of memory that Linux tells in `/proc/meminfo`.
fn total_memory(meminfo: &str) -> Option<f64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    Some(1024.0 * line.split_whitespace().nth(1)?.parse::<f64>().ok()?)
}

/// A rough number of bytes: weights, two moments and the gradients of all forward passes of a step;
/// and either the activations of the passes that are computed side by side, or what a checkpoint is
/// written from.
fn memory(config: &RunConfig, encoder: &EncoderConfig, parameters: f64) -> f64 {
    let passes = config.batch.size.div_ceil(config.micro_batch());
    let len = config.corpus.max_length;
    let rows = (config.micro_batch() * len * passes.min(rayon::current_num_threads())) as f64;
    // Per layer about 10 tensors of the hidden width, 3 of the inner width, and where attention
    // keeps them 4 of the scores.
    let scores =
        if config.backend == Backend::Cpu { 0.0 } else { 4.0 * (encoder.heads * len) as f64 };
    let layer = 10.0 * encoder.hidden as f64 + 3.0 * encoder.feed_forward as f64 + scores;
    // Logits and their softmax at about 15 % of the places.
    let head = 0.15 * 4.0 * encoder.vocabulary as f64;
    let activations = rows * (encoder.layers as f64 * layer + head);
    // The moments on the host and as a file, and the weights as a file: pieces too large for what
    // the passes left.
    let checkpoint = 5.0 * parameters;
    4.0 * ((3.0 + passes as f64) * parameters + activations.max(checkpoint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_whole() {
        assert!((1..100_000).all(|n| whole_steps(1.0 / f64::from(n)) == f64::from(n)));
        assert_eq!(whole_steps(0.3), 4.0);
        assert_eq!(whole_steps(2.0), 1.0);
    }

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(total_memory("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16_777_216.0));
        assert_eq!(total_memory("nothing"), None);
    }
}
