//! What an objective does to a text.

use anyhow::Result;
use corpus::Permutation;
use objective::{Example, Objective, Purpose};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use train::ShownExample;

use super::build::build;
use super::text::PreparedText;
use crate::config::RunConfig;
use crate::model::ModelSource;
use crate::progress::Progress;

/// Passages to be shown.
#[derive(Debug)]
pub struct InspectJob<'a> {
    /// The configuration.
    pub config: &'a RunConfig,
    /// The tokenised text of the configuration.
    pub text: &'a PreparedText,
    /// How many passages.
    pub count: u64,
    /// The epoch of the draws.
    pub epoch: u64,
    /// A trained model, whose own generator's samples are shown where the objective has one.
    pub model: Option<&'a ModelSource>,
}

/// The first passages of an epoch as the objective `O` makes them.
///
/// # Errors
/// When configuration, text or model cannot be used.
pub fn inspect<O: Objective>(job: &InspectJob<'_>) -> Result<Vec<ShownExample>> {
    let InspectJob { config, text, count, epoch, model } = *job;
    let device = config.backend.open()?;

    let statistics = text.statistics(&config.corpus)?;
    let (objective, _): (O, _) = build(config, &text.tokenizer, statistics, &device)?;

    let packing = objective.packing();
    let passages = text.train.passages(&config.corpus, packing, &Progress::default())?;
    let permutation = Permutation::new(passages.len(), config.seed);
    let partner_epoch = objective.partner_epoch(epoch);
    let examples: Vec<Example> = (0..count.min(passages.len()))
        .map(|i| passages.get(permutation.at(epoch, i), config.seed, epoch, partner_epoch))
        .collect();

    let batch = objective.collate(&examples, Purpose::Training);
    let tokens = match model {
        Some(source) => {
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let fresh = objective.init(&source.encoder()?, &mut rng, &device);
            let trained = checkpoint::weights::load(fresh, &source.weights()?)?;
            objective.show_trained(&trained, &batch, &device)
        }
        None => (0..examples.len()).map(|row| objective.show(&batch, row)).collect(),
    };
    let shown = tokens
        .into_iter()
        .enumerate()
        .map(|(row, tokens)| ShownExample { tokens, caption: objective.caption(&batch, row) });
    Ok(shown.collect())
}
