//! Held-out loss, and the tasks of the objectives.

use anyhow::Result;
use eval::{Means, loss};
use objective::{HeldOutTask, MetricOf};
use serde_json::{Value, json};

use super::args::Args;
use super::held_out::{HeldOut, mask_as, no_target, write_examples};
use crate::cli::output::report;
use crate::exit::BadInput;
use crate::model::{Loaded, ModelSource};

/// Evaluates on held-out text: the loss, or a task of the model's objective.
///
/// # Errors
/// When the text cannot be read or gives nothing to predict, or a signal asks to stop.
pub fn run(
    args: &Args,
    source: &ModelSource,
    loaded: &Loaded,
    task: Option<&HeldOutTask>,
) -> Result<()> {
    let mut knobs = loaded.knobs.clone();
    if let Some(family) = &args.masks {
        mask_as(&mut knobs, family);
    }
    for (name, value) in task.into_iter().flat_map(|task| task.knobs) {
        knobs.insert((*name).to_owned(), (*value).into());
    }

    let model = loaded.model.as_ref();
    let text = HeldOut::open(args, source, model.tokenizer(), model.encoder().positions)?;
    let evaluation = text.under_knobs(args, loaded, knobs)?;
    if let Some(mut file) = args.open_output()? {
        write_examples(&mut file, &evaluation, None)?;
    }

    let means = loss::evaluate(evaluation.model.as_ref(), &evaluation.examples, args.batch)?;
    if means.loss.is_nan() && means.targets == 0.0 {
        return Err(no_target().into());
    }

    let mut document = document(args, evaluation.examples.len(), &means);
    if let Some(task) = task {
        add_task(&mut document, task, &means)?;
    }
    report(args.format(), &document)
}

fn document(args: &Args, passages: usize, means: &Means) -> Value {
    let mut document = json!({
        "task": args.task.name(),
        "model": args.model,
        "passages": passages,
        "tokens": means.tokens,
        "targets": means.targets,
        "loss": means.loss,
    });

    if let Some(uncertainty) = means.uncertainty {
        document["bits"] = json!(uncertainty.bits);
        document["perplexity"] = json!(uncertainty.perplexity);
    }

    for metric in &means.metrics {
        document[&metric.name] = json!(metric.mean);
    }
    document
}

/// Adds the metric of the task, with its interval where it is over pairs.
fn add_task(document: &mut Value, task: &HeldOutTask, means: &Means) -> Result<(), BadInput> {
    let metric = means
        .metric(task.metric)
        .ok_or_else(|| BadInput(format!("--task {}: {}", task.name, task.without_metric)))?;

    if task.counts == MetricOf::PairsBothWays {
        let pairs = metric.count / 2.0;
        let [low, high] = wilson(metric.mean, pairs);
        let fields = [("pairs", pairs), ("accuracy", metric.mean), ("low", low), ("high", high)];
        fields.into_iter().for_each(|(name, value)| document[name] = json!(value));
    }
    Ok(())
}

/// The interval of 95 % around a share of `n` independent answers (Wilson 1927).
fn wilson(share: f64, n: f64) -> [f64; 2] {
    const Z: f64 = 1.959_963_984_540_054;
    let scale = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    [middle - half, middle + half]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    #[test]
    fn the_interval_is_wilsons() {
        let [low, high] = wilson(81.0 / 263.0, 263.0);
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
    }
}
