//! From a configuration to the objective that it describes.

use anyhow::Result;
use burn::tensor::Device;
use corpus::Tokenizer;
use objective::{Context, Objective};
use trunk::EncoderConfig;

use super::text::TextStatistics;
use crate::config::RunConfig;
use crate::model;

/// The objective `O` as `config` describes it, with its teacher on `device`, and the shape of its
/// encoder, the vocabulary known.
///
/// # Errors
/// When the tokenizer does not fit the encoder, the teacher cannot be opened, or the objective
/// refuses a knob.
pub fn build<O: Objective>(
    config: &RunConfig,
    tokenizer: &Tokenizer,
    statistics: TextStatistics,
    device: &Device,
) -> Result<(O, EncoderConfig)> {
    let mut encoder = config.encoder.clone();
    model::fit_vocabulary(&mut encoder, tokenizer)?;

    let mut context =
        Context::new(tokenizer, statistics.token_counts, config.corpus.max_length, &encoder);
    context.ngrams = statistics.ngrams;
    context.teacher = model::open_teacher(&config.teacher, device)?;
    let objective = O::new(settings::parse(config.objective_knobs(), "objective.")?, &context)?;
    Ok((objective, encoder))
}
