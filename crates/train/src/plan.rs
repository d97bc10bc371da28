//! What a run would take.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use objective::{Objective, Purpose, Shown};
use serde::Serialize;
use trunk::{EncoderConfig, Noise};

use crate::budget::BudgetProgress;
use crate::course::Course;
use crate::feed::Recipe;
use crate::settings::Settings;

/// What a run would take, and its first examples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The objective.
    pub objective: &'static str,
    /// Parameters of the model.
    pub parameters: usize,
    /// Token ids.
    pub vocabulary: usize,
    /// Training examples.
    pub passages: u64,
    /// Tokens of all of them, special tokens not counted.
    pub content_tokens: u64,
    /// Optimizer steps.
    pub steps: f64,
    /// Tokens to be trained on.
    pub tokens: f64,
    /// Times to go through the text.
    pub epochs: f64,
    /// Floating-point operations.
    pub flops: f64,
    /// Seconds for a step, without the optimizer.
    pub seconds_per_step: f64,
    /// Minutes for all steps.
    pub minutes: f64,
    /// Estimated memory.
    pub memory_megabytes: f64,
    /// The first examples as the model sees them.
    #[serde(skip)]
    pub shown: Vec<ShownExample>,
}

/// An example as the model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownExample {
    /// Its tokens.
    pub tokens: Vec<Shown>,
    /// What is to be predicted about it as a whole, in words.
    pub caption: Option<String>,
}

/// Examples that a plan shows.
const SHOWN: u64 = 3;

/// The plan of a run that takes `memory` bytes. Two steps are computed to estimate the time.
pub fn plan<O: Objective>(
    settings: &Settings,
    encoder: &EncoderConfig,
    recipe: &Recipe<O>,
    model: &O::Model,
    device: &Device,
    memory: f64,
) -> Plan {
    let seconds = time_step(recipe, model, device);
    let one = BudgetProgress { seconds, ..recipe.whole_step(encoder) };
    let course = Course::new(settings.course.clone(), settings.step, &settings.budget, || one);
    let steps = match course.steps() {
        Some(steps) => steps as f64,
        None => (1.0 / settings.budget.fraction(&one)).ceil(),
    };

    Plan {
        objective: O::NAME,
        parameters: model.num_params(),
        vocabulary: encoder.vocabulary,
        passages: recipe.examples.len(),
        content_tokens: recipe.examples.tokens(),
        steps,
        tokens: steps * one.tokens as f64,
        epochs: steps * one.epochs,
        flops: steps * one.flops,
        seconds_per_step: seconds,
        minutes: steps * seconds / 60.0,
        memory_megabytes: memory / 1e6,
        shown: shown(recipe),
    }
}

/// The first examples of the run.
fn shown<O: Objective>(recipe: &Recipe<O>) -> Vec<ShownExample> {
    let objective = recipe.objective.as_ref();
    let partner_epoch = objective.partner_epoch(0);
    let examples: Vec<_> = (0..recipe.examples.len().min(SHOWN))
        .map(|number| recipe.examples.get(number, recipe.seed, 0, partner_epoch))
        .collect();
    let batch = objective.collate(&examples, Purpose::Training);

    let row = |row| ShownExample {
        tokens: objective.show(&batch, row),
        caption: objective.caption(&batch, row),
    };
    (0..examples.len()).map(row).collect()
}

/// Seconds of the second of two steps (the first one warms up), without the optimizer.
fn time_step<O: Objective>(recipe: &Recipe<O>, model: &O::Model, device: &Device) -> f64 {
    let mut seconds = 0.0;
    for step in 0..2 {
        let batch = recipe.batch(Course::whole(recipe.step, step * recipe.step.size as u64));

        let started = Instant::now();
        for micro in batch.micro {
            let noise = &mut Noise::new(micro.keys);
            let step = recipe.objective.forward(model, &micro.batch, Some(noise), device);
            let loss = step.loss(&batch.target_counts);
            let _ = loss.clone().into_scalar::<f32>();
            let _ = loss.backward();
        }
        seconds = started.elapsed().as_secs_f64();
    }
    seconds
}
