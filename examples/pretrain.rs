//! Pretrains masked language modelling on a text, and fills a mask.
//!
//! `cargo run --release --example pretrain -- corpora/tiny/train runs/example 100`

use std::path::Path;

use anyhow::Result;
use bert_variants::config::RunConfig;
use bert_variants::run::{PretrainJob, Resume};
use bert_variants::{model, registry};
use burn::tensor::Device;
use eval::fill_mask::{TokenProbability, fill_mask};
use settings::Layers;

/// Trains for `steps` in the folder `out`; returns the most probable tokens at the mask of `text`.
pub fn pretrain_and_fill(
    corpus: &Path,
    out: &Path,
    steps: i64,
    text: &str,
) -> Result<Vec<TokenProbability>> {
    let mut layers = Layers::default();
    layers.set("corpus.paths", vec![corpus.display().to_string()]);
    layers.set("corpus.tokenizer", "train:wordpiece:300");
    layers.set("corpus.cache", out.with_extension("cache").display().to_string());
    layers.set("objective.name", "mlm");
    layers.set("objective.masking.rate", 0.3);
    layers.set("optimizer.learning_rate", 2e-3);
    layers.set("budget.steps", steps);
    let config: RunConfig = registry::resolve(layers.resolve()?)?;

    let entry = registry::find(config.objective_name()?)?;
    let job = PretrainJob { config: &config, out, resume: &Resume::Auto, dry_run: false };
    (entry.pretrain)(&job)?;

    let loaded = (entry.load)(&model::find(out)?, &Device::flex())?;
    let mut masks = fill_mask(loaded.model.as_ref(), text, 3)?;
    Ok(masks.swap_remove(0))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [corpus, out, steps] = arguments.as_slice() else {
        anyhow::bail!("usage: pretrain TEXT OUT STEPS");
    };
    let text = "The baker opened [MASK] door.";
    for TokenProbability { token, probability } in
        pretrain_and_fill(Path::new(corpus), Path::new(out), steps.parse()?, text)?
    {
        println!("{token:12} {probability:.4}");
    }
    Ok(())
}
