//! The kinds of folder that hold a model: a run, a checkpoint of a run, or a Hugging Face folder.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use checkpoint::{Weights, folder, weights};
use corpus::Tokenizer;
use finetune::DataConfig;
use hub::HubModel;
use objective::Objective;
use toml::Table;
use trunk::EncoderConfig;

use crate::config::{RunConfig, TOKEN_COUNTS};
use crate::exit::BadInput;

/// What a folder holds.
#[derive(Clone, Debug)]
pub enum ModelSource {
    /// A run, or one checkpoint of it.
    Run {
        /// The run's configuration.
        config: Box<RunConfig>,
        /// The run's folder.
        run: PathBuf,
        /// The checkpoint's folder.
        checkpoint: PathBuf,
    },
    /// A folder that transformers wrote, or a model that was imported from one.
    Hub {
        /// The folder.
        folder: PathBuf,
        /// What it holds.
        model: Box<HubModel>,
    },
}

/// Finds out what `folder` holds.
///
/// # Errors
/// When it holds no model, or a run without a good checkpoint.
pub fn find(folder: &Path) -> Result<ModelSource> {
    if folder.join("run.toml").is_file() {
        return find_run(folder);
    }
    if folder.join("state.json").is_file() {
        return find_checkpoint(folder);
    }

    let model = if hub::is_native(folder) {
        hub::read_native(folder)?
    } else if hub::is_hub_folder(folder) {
        hub::read(folder)?
    } else {
        return Err(BadInput(format!(
            "{} is no model: expected a run's folder (run.toml), a checkpoint in it (state.json), \
             an imported model (model.toml), or a Hugging Face folder (config.json and \
             model.safetensors)",
            folder.display()
        ))
        .into());
    };
    if !model.unused.is_empty() {
        tracing::warn!("{}: not used: {}", folder.display(), model.unused.join(", "));
    }
    Ok(ModelSource::Hub { folder: folder.to_owned(), model: Box::new(model) })
}

/// The newest good checkpoint of a run; of a fine-tuned run the best one.
fn find_run(run: &Path) -> Result<ModelSource> {
    let newest = folder::latest_good(run)?;
    newest.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let good = newest.checkpoint.ok_or_else(|| {
        BadInput(format!("{} is a run without a checkpoint; train it first", run.display()))
    })?;

    let config = run_config(run)?;
    let checkpoint = match good.state["best"]["step"].as_u64() {
        Some(step) if config.data.is_some() => folder::of_step(run, step)?,
        _ => good.path,
    };
    Ok(ModelSource::Run { config, run: run.to_owned(), checkpoint })
}

/// A checkpoint by its own folder.
fn find_checkpoint(folder: &Path) -> Result<ModelSource> {
    let absolute =
        folder.canonicalize().with_context(|| format!("cannot open {}", folder.display()))?;
    let run = absolute.ancestors().nth(2).filter(|run| run.join("run.toml").is_file());
    let run = run.ok_or_else(|| {
        let folder = folder.display();
        BadInput(format!("{folder} is a checkpoint outside its run: run.toml is missing"))
    })?;

    folder::verify(&absolute).map_err(|error| BadInput(error.to_string()))?;
    let (config, run) = (run_config(run)?, run.to_owned());
    Ok(ModelSource::Run { config, run, checkpoint: absolute })
}

/// The configuration in a run's folder, checked, but for the knobs of the objective.
///
/// # Errors
/// When the file is missing or was edited into something that cannot be.
pub fn run_config(run: &Path) -> Result<Box<RunConfig>> {
    let path = run.join("run.toml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let table = text
        .parse()
        .map_err(|error: toml::de::Error| BadInput(format!("{}: {error}", path.display())))?;

    let config: RunConfig = settings::parse(table, "")?;
    config.validate()?;
    Ok(Box::new(config))
}

impl ModelSource {
    /// One line for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Run { checkpoint, .. } => format!("checkpoint {}", checkpoint.display()),
            Self::Hub { folder, model } => {
                format!("{} in {}", model.class(), folder.display())
            }
        }
    }

    /// The knobs of the objective `O`: the run's, or those of a Hugging Face class; none where the
    /// model is of another objective.
    pub fn knobs<O: Objective>(&self) -> Option<Table> {
        match self {
            Self::Run { config, .. } => {
                let is_of = config.objective_name().is_ok_and(|name| name == O::NAME);
                is_of.then(|| config.objective_knobs())
            }
            Self::Hub { model, .. } => {
                let knobs = Table::try_from(O::import(model)?);
                Some(knobs.expect("a configuration is a TOML table"))
            }
        }
    }

    /// The longest sequence of a task, special tokens included: the run's, or that of most models.
    pub fn max_length(&self) -> usize {
        match self {
            Self::Run { config, .. } => config.corpus.max_length,
            Self::Hub { model, .. } => model.config.encoder.positions.min(512),
        }
    }

    /// The data of the task that the model learnt here, if it learnt one.
    pub fn data(&self) -> Option<&DataConfig> {
        match self {
            Self::Run { config, .. } => config.data.as_ref(),
            Self::Hub { .. } => None,
        }
    }

    /// The shape of the encoder.
    ///
    /// # Errors
    /// When the tokenizer does not fit it.
    pub fn encoder(&self) -> Result<EncoderConfig> {
        let mut encoder = match self {
            Self::Run { config, .. } => config.encoder.clone(),
            Self::Hub { model, .. } => model.config.encoder.clone(),
        };
        fit_vocabulary(&mut encoder, &self.tokenizer()?)?;
        Ok(encoder)
    }

    /// The file or folder of the tokenizer that belongs to the model.
    pub fn tokenizer_path(&self) -> PathBuf {
        match self {
            Self::Run { run, .. } => run.join("tokenizer.json"),
            Self::Hub { folder, .. } => folder.clone(),
        }
    }

    /// How often each token of a vocabulary of `size` occurs in the text that a run was trained on;
    /// none where that is not known.
    ///
    /// # Errors
    /// When the run's file of them is damaged.
    pub fn token_counts(&self, size: usize) -> Result<Option<Vec<u64>>> {
        let Self::Run { run, .. } = self else { return Ok(None) };
        let path = run.join(TOKEN_COUNTS);
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };

        let counts = serde_json::from_str(&text).ok();
        let counts = counts.filter(|counts: &Vec<u64>| counts.len() == size).ok_or_else(|| {
            BadInput(format!("{}: expected {size} numbers, one for each token", path.display()))
        })?;
        Ok(Some(counts))
    }

    /// The parameters.
    ///
    /// # Errors
    /// When their file is missing or damaged.
    pub fn weights(&self) -> Result<Weights> {
        Ok(match self {
            Self::Run { checkpoint, .. } => weights::read(&checkpoint.join("model.safetensors"))?,
            Self::Hub { model, .. } => model.weights.clone(),
        })
    }

    /// A copy without its teacher.
    #[must_use]
    pub fn without_teacher(&self) -> Self {
        let mut source = self.clone();
        if let Self::Run { config, .. } = &mut source {
            config.teacher = PathBuf::new();
        }
        source
    }

    /// Bytes of the files of the parameters.
    ///
    /// # Errors
    /// When they cannot be looked at.
    pub fn bytes(&self) -> Result<u64> {
        let folder = match self {
            Self::Run { checkpoint, .. } => {
                return file_size(&checkpoint.join("model.safetensors"));
            }
            Self::Hub { folder, .. } => folder,
        };

        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        let (mut safetensors, mut pickled) = (0, 0);
        for entry in entries {
            let path = entry?.path();
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("safetensors") => safetensors += file_size(&path)?,
                Some("bin") => pickled += file_size(&path)?,
                _ => {}
            }
        }

        // A folder with both holds the parameters twice.
        Ok(if safetensors > 0 { safetensors } else { pickled })
    }

    /// The tokenizer that belongs to the model.
    ///
    /// # Errors
    /// When its file is missing or damaged.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::open(&self.tokenizer_path())?)
    }
}

fn file_size(path: &Path) -> Result<u64> {
    let metadata = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    Ok(metadata.len())
}

/// Gives the token table the tokenizer's size, or checks that it is large enough.
///
/// # Errors
/// When the tokenizer has ids beyond the table.
pub fn fit_vocabulary(encoder: &mut EncoderConfig, tokenizer: &Tokenizer) -> Result<(), BadInput> {
    let size = tokenizer.vocabulary_size();
    if encoder.vocabulary == 0 {
        encoder.vocabulary = size;
    }
    if encoder.vocabulary < size {
        return Err(BadInput(format!(
            "encoder.vocabulary = {}: the tokenizer has {size} tokens; raise it (0 takes the \
             tokenizer's size), or use the tokenizer that belongs to the model",
            encoder.vocabulary
        )));
    }
    Ok(())
}
