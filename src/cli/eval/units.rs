//! `--task units`: one masker for each unit.

use anyhow::Result;
use eval::masked::{MaskedSequence, MaskedSet, logits};
use serde_json::json;

use super::args::Args;
use super::held_out::{HeldOut, mask_as, no_target, write_examples};
use crate::cli::output::{print, print_json, table};
use crate::model::{Loaded, ModelSource};

/// The families whose maskers mask the units.
const UNITS: [(&str, &str); 4] =
    [("token", "bert"), ("word", "bert-whole-word"), ("n-gram", "albert"), ("span", "spanbert")];

/// Loss and accuracy of a model under one masker for each unit, on the same passages, whatever it
/// was trained to predict.
///
/// # Errors
/// When the model predicts no masked tokens, the text gives nothing to predict, or a signal asks to
/// stop.
pub fn run(args: &Args, source: &ModelSource, loaded: &Loaded) -> Result<()> {
    let model = loaded.model.as_ref();
    // Refuses a model that predicts no masked tokens before the text is read.
    let specials = model.tokenizer().specials();
    let tokens = [specials.cls, specials.mask, specials.sep];
    logits(model, &[MaskedSequence { tokens: &tokens, segments: &[], positions: &[1] }])?;

    let text = HeldOut::open(args, source, model.tokenizer(), model.encoder().positions)?;
    let mut rows = table(&["unit", "targets", "loss", "accuracy"]);
    let mut document = json!({"task": "units", "model": args.model});
    let mut output = args.open_output()?;

    for (unit, family) in UNITS {
        let mut knobs = loaded.knobs.clone();
        mask_as(&mut knobs, family);
        let evaluation = text.under_knobs(args, loaded, knobs)?;
        if let Some(file) = &mut output {
            write_examples(file, &evaluation, Some(unit))?;
        }

        let set = MaskedSet::of_model(evaluation.model.as_ref(), &evaluation.examples);
        let scored = set.score(model, args.batch)?;
        let targets = scored.predictions.len();
        if targets == 0 {
            return Err(no_target().into());
        }

        let metric = |name: &str| {
            scored.metrics.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, x)| *x)
        };
        let (loss, accuracy) = (metric("loss"), metric("accuracy"));
        let share = format!("{:.2} %", 100.0 * accuracy);
        rows.add_row([unit.to_owned(), targets.to_string(), format!("{loss:.4}"), share]);
        document[unit] = json!({"targets": targets, "loss": loss, "accuracy": accuracy});
    }

    if args.json { print_json(&document) } else { print(&rows.to_string()) }
}
