//! Held-out loss on a fixed set with fixed masks.

use objective::Example;

use crate::error::Result;
use crate::evaluable::Evaluable;
use crate::sums::{Means, Metric, Sums};

/// Evaluates `model` on `examples`, `batch` sequences at a time. Examples are taken by length, so
/// that little is padded; the sums do not depend on it.
///
/// # Errors
/// When the caller asks to stop.
pub fn evaluate(model: &dyn Evaluable, examples: &[Example], batch: usize) -> Result<Means> {
    let (means, _) = evaluate_with_outputs(model, examples, batch)?;
    Ok(means)
}

/// As [`evaluate`], with the model's outputs for each example, in their order, where the objective
/// has some.
///
/// # Errors
/// When the caller asks to stop.
pub fn evaluate_with_outputs(
    model: &dyn Evaluable,
    examples: &[Example],
    batch: usize,
) -> Result<(Means, Vec<Vec<f32>>)> {
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by_key(|i| examples[*i].passage.tokens.len());

    let sums_of = |indices: &[usize]| -> Result<_> {
        model.check_interrupt()?;
        let batch: Vec<Example> = indices.iter().map(|i| examples[*i].clone()).collect();
        Ok(model.sums(&batch))
    };

    let parts = model.workers().map(order.chunks(batch).collect(), sums_of);

    let mut sums = Sums::default();
    for part in parts {
        sums.add(part?);
    }

    let mut means = sums.means();
    let mut outputs = vec![Vec::new(); sums.outputs.len()];
    for (i, output) in order.into_iter().zip(sums.outputs) {
        outputs[i] = output;
    }

    let count = outputs.len() as f64;
    let metric = |(name, mean): (&str, f64)| Metric { name: name.to_owned(), mean, count };
    means.metrics.extend(model.metrics(examples, &outputs).into_iter().map(metric));
    Ok((means, outputs))
}
