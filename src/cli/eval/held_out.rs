//! The text that a model is evaluated on.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use corpus::{Builder, Ngrams, Subset, Tokenizer};
use eval::Evaluable;
use mlm::{Masking, Unit};
use objective::{Context, Example, Packing, Shown};
use serde_json::{Value, json};
use toml::Table;
use train::evaluation_set;

use super::args::Args;
use crate::config::CorpusConfig;
use crate::exit::{BadInput, Usage};
use crate::model::{Loaded, ModelSource};
use crate::progress::Progress;
use crate::run::{PreparedText, TextSource, cache_folder, open_ngrams, open_text};

/// The text that a model is evaluated on.
pub struct HeldOut {
    config: CorpusConfig,
    source: TextSource,
}

/// A model under the knobs of an evaluation, and the examples.
pub struct Evaluation {
    /// The model.
    pub model: Box<dyn Evaluable>,
    /// The fixed evaluation examples.
    pub examples: Vec<Example>,
}

impl HeldOut {
    /// The text of `args` for the model in `source`, which has this tokenizer and `positions`
    /// positions.
    ///
    /// # Errors
    /// When there is no text, or --max-length does not fit the model.
    pub fn open(
        args: &Args,
        source: &ModelSource,
        tokenizer: &Tokenizer,
        positions: usize,
    ) -> Result<Self> {
        let mut config = match source {
            ModelSource::Run { config, .. } => config.corpus.clone(),
            ModelSource::Hub { .. } => {
                CorpusConfig { max_length: positions, ..CorpusConfig::default() }
            }
        };
        config.max_length = args.max_length.unwrap_or(config.max_length);

        let length = config.max_length;
        if length > positions || length < 8 {
            let message =
                format!("--max-length {length}: must be between 8 and the model's {positions}");
            return Err(BadInput(message).into());
        }

        config.cache = args.cache.clone().unwrap_or(config.cache);
        let source = validation_source(args, source, &config, tokenizer)?;
        Ok(Self { config, source })
    }

    /// How often each token occurs in the text.
    pub fn token_counts(&self) -> Vec<u64> {
        self.source.token_counts()
    }

    /// The n-grams for masks of the knobs `evaluation`, which may need none.
    ///
    /// # Errors
    /// When they need some, and the file of the run cannot be read.
    pub fn ngrams(
        &self,
        tokenizer: &Tokenizer,
        evaluation: &Masking,
    ) -> Result<Option<Arc<Ngrams>>> {
        match evaluation.unit {
            Unit::Pmi => open_ngrams(&self.config, tokenizer),
            _ => Ok(Some(Arc::default())),
        }
    }

    /// Longest sequence.
    pub fn max_length(&self) -> usize {
        self.config.max_length
    }

    /// The fixed evaluation examples, with the packing and the partner epoch of an objective.
    ///
    /// # Errors
    /// When the text holds no passage.
    pub fn examples(
        &self,
        args: &Args,
        packing: Packing,
        partner_epoch: Option<u64>,
    ) -> Result<Vec<Example>> {
        let passages = self.source.passages(&self.config, packing, &Progress::default())?;
        Ok(evaluation_set(&passages, args.limit, args.seed, partner_epoch))
    }

    /// The model in `loaded` under these knobs, and its examples.
    ///
    /// # Errors
    /// When the objective refuses a knob, or the text holds no passage.
    pub fn under_knobs(&self, args: &Args, loaded: &Loaded, knobs: Table) -> Result<Evaluation> {
        let counts = loaded.token_counts.clone().unwrap_or_else(|| self.token_counts());
        let (tokenizer, encoder) = (loaded.model.tokenizer(), loaded.model.encoder());
        let mut context = Context::new(tokenizer, counts, self.config.max_length, encoder);
        context.ngrams = self.ngrams(tokenizer, &evaluation_masks(&knobs)?)?;
        context.teacher.clone_from(&loaded.teacher);

        let model = loaded.model.with_knobs(knobs, &context)?;
        let examples = self.examples(args, model.packing(), model.partner_epoch())?;
        Ok(Evaluation { model, examples })
    }
}

/// Replaces all knobs of the evaluation masks by those of a family.
pub fn mask_as(knobs: &mut Table, family: &str) {
    let evaluation = Table::from_iter([("family".to_owned(), family.into())]);
    knobs.insert("evaluation".to_owned(), evaluation.into());
}

/// The evaluation masks of an objective's knobs; those of BERT where it has none.
fn evaluation_masks(knobs: &Table) -> Result<Masking> {
    Ok(match knobs.get("evaluation") {
        Some(masks) => masks.clone().try_into()?,
        None => Masking::default(),
    })
}

/// The error for a text without targets.
pub fn no_target() -> BadInput {
    let message = "this text gives nothing to predict: give more of it, a longer --max-length or \
                   other --masks";
    BadInput(message.to_owned())
}

/// Writes one JSON object for each sequence: token ids, segments, the ids of the targets (null
/// elsewhere), and `unit` where one is given.
///
/// # Errors
/// When the file cannot be written.
pub fn write_examples(
    file: &mut BufWriter<File>,
    evaluation: &Evaluation,
    unit: Option<&str>,
) -> Result<()> {
    let context = "cannot write the targets";
    let sequences = evaluation.examples.iter().flat_map(|it| evaluation.model.shown(it));
    for shown in sequences {
        let column = |value: fn(&Shown) -> Value| shown.iter().map(value).collect::<Vec<Value>>();
        let mut record = json!({
            "tokens": column(|shown| shown.token.into()),
            "segments": column(|shown| shown.segment.into()),
            "labels": column(|shown| shown.label.into()),
        });
        if let Some(unit) = unit {
            record["unit"] = unit.into();
        }
        writeln!(file, "{record}").context(context)?;
    }

    file.flush().context(context)
}

/// The documents to be evaluated on: those of --input, or the run's own validation text.
fn validation_source(
    args: &Args,
    source: &ModelSource,
    config: &CorpusConfig,
    tokenizer: &Tokenizer,
) -> Result<TextSource> {
    let progress = Progress::default();
    let build = |paths: &[String]| -> Result<TextSource> {
        let text = open_text(config, paths)?;
        let corpus = Builder::new(&text, tokenizer, &cache_folder(config)?, &progress).build()?;
        Ok(TextSource { corpus: Arc::new(corpus), subset: Subset::All })
    };

    if !args.input.is_empty() {
        return build(&args.input);
    }

    let ModelSource::Run { config: run, .. } = source else {
        let task = args.task.name();
        let message = format!("--task {task} needs --input TEXT for a Hugging Face folder");
        return Err(Usage(message).into());
    };

    if !run.corpus.valid.is_empty() {
        // The training text may be gone by now.
        return build(&run.corpus.valid)
            .context("the run's validation text, which is read unless --input TEXT is given");
    }

    let mut run = run.as_ref().clone();
    run.corpus.cache.clone_from(&config.cache);
    // The run's own tokenizer, wherever it came from.
    run.corpus.tokenizer = source.tokenizer_path().display().to_string();
    run.corpus.add_tokens = PathBuf::new();
    PreparedText::new(&run, &progress)?.valid.ok_or_else(|| {
        BadInput("the run has no validation text; give --input TEXT".to_owned()).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_replaces_every_knob_of_the_evaluation_masks() {
        let mut knobs: Table = "labels = \"none\"\nevaluation.rate = 0.3".parse().expect("TOML");
        mask_as(&mut knobs, "spanbert");
        assert_eq!(knobs.to_string(), "labels = \"none\"\n\n[evaluation]\nfamily = \"spanbert\"\n");
    }
}
