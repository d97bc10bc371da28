//! A trained model by its folder: a run, a checkpoint of a run, or a Hugging Face folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use burn::module::Module;
use burn::tensor::Device;
use corpus::Tokenizer;
use objective::Objective;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::EncoderConfig;

use crate::config::{RunConfig, parse};
use crate::exit::BadInput;
use crate::train::checkpoint;
use crate::train::weights;
use crate::workers::Workers;
use crate::{hub, registry};

/// What a folder holds.
#[derive(Debug)]
pub enum Found {
    /// A run, or one checkpoint of it.
    Run {
        /// The run's configuration.
        config: Box<RunConfig>,
        /// The run's folder.
        run: PathBuf,
        /// The checkpoint's folder.
        checkpoint: PathBuf,
    },
    /// A folder that transformers wrote.
    HuggingFace(PathBuf),
}

/// Finds out what `folder` holds.
///
/// # Errors
/// When it is none of the three, or a run without a good checkpoint.
pub fn find(folder: &Path) -> Result<Found> {
    if folder.join("run.toml").is_file() {
        let found = checkpoint::latest_good(folder)?;
        found.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let good = found
            .checkpoint
            .ok_or_else(|| BadInput(format!("{} is a run without a checkpoint; train it first", folder.display())))?;
        return Ok(Found::Run { config: run_config(folder)?, run: folder.to_owned(), checkpoint: good.path });
    }
    if folder.join("state.json").is_file() {
        let absolute = folder.canonicalize().with_context(|| format!("cannot open {}", folder.display()))?;
        let run = absolute.ancestors().nth(2).filter(|run| run.join("run.toml").is_file()).ok_or_else(|| {
            BadInput(format!("{} is a checkpoint outside its run: run.toml is missing", folder.display()))
        })?;
        checkpoint::verify(&absolute).map_err(|error| BadInput(error.to_string()))?;
        return Ok(Found::Run { config: run_config(run)?, run: run.to_owned(), checkpoint: absolute });
    }
    if hub::is_hub_folder(folder) {
        return Ok(Found::HuggingFace(folder.to_owned()));
    }
    Err(BadInput(format!(
        "{} is no model: expected a run's folder (run.toml), a checkpoint in it (state.json), or a Hugging Face folder \
         (config.json and model.safetensors)",
        folder.display()
    ))
    .into())
}

/// The configuration in a run's folder.
///
/// # Errors
/// When the file is missing or was edited into something that cannot be.
pub fn run_config(run: &Path) -> Result<Box<RunConfig>> {
    let path = run.join("run.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let table = text.parse().map_err(|error: toml::de::Error| BadInput(format!("{}: {error}", path.display())))?;
    Ok(Box::new(registry::resolve(parse(table, "")?)?))
}

impl Found {
    /// One line for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Run { checkpoint, .. } => format!("checkpoint {}", checkpoint.display()),
            Self::HuggingFace(folder) => format!("Hugging Face folder {}", folder.display()),
        }
    }

    /// The objective whose model this is.
    ///
    /// # Errors
    /// When the run's configuration names none.
    pub fn objective(&self) -> Result<&str> {
        match self {
            Self::Run { config, .. } => Ok(config.objective_name()?),
            Self::HuggingFace(_) => Ok(mlm::Mlm::NAME),
        }
    }

    /// The tokenizer that belongs to the model.
    ///
    /// # Errors
    /// When its file is missing or damaged.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(match self {
            Self::Run { run, .. } => Tokenizer::open(&run.join("tokenizer.json"))?,
            Self::HuggingFace(folder) => Tokenizer::open(folder)?,
        })
    }
}

/// A model ready to be evaluated.
#[derive(Debug)]
pub struct Loaded<O: Objective> {
    /// The objective it was trained with.
    pub objective: Arc<O>,
    /// Its knobs.
    pub knobs: toml::Table,
    /// Shape of the encoder.
    pub encoder: EncoderConfig,
    /// The weights, on the device, without autodiff.
    pub model: O::Model,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// Longest sequence, special tokens included.
    pub positions: usize,
    /// Where it lies.
    pub device: Device,
    /// What computes batches side by side.
    pub workers: Arc<Workers>,
}

/// Loads the model in `found` for the objective `O`, whose knobs are the run's (the defaults for a Hugging Face folder).
///
/// # Errors
/// When tokenizer and weights do not belong together, or a file is damaged.
pub fn load<O: Objective>(found: &Found, device: &Device) -> Result<Loaded<O>> {
    let tokenizer = found.tokenizer()?;
    let (knobs, mut encoder, weights) = match found {
        Found::Run { config, checkpoint, .. } => {
            let weights = weights::read(&checkpoint.join("model.safetensors"))?;
            (config.objective_knobs(), config.encoder.clone(), weights)
        }
        Found::HuggingFace(folder) => {
            let model = hub::read(folder)?;
            if !model.unused.is_empty() {
                tracing::warn!("{}: not used: {}", folder.display(), model.unused.join(", "));
            }
            (toml::Table::new(), model.encoder, model.weights)
        }
    };
    fit_vocabulary(&mut encoder, &tokenizer)?;
    // Counts of the training text only matter to training masks.
    let counts = vec![1; tokenizer.vocabulary_size()];
    let context = crate::train::context(&tokenizer, counts, encoder.positions, &encoder);
    let objective = O::new(parse(knobs.clone(), "objective.")?, &context)?;
    let model = objective.init(&encoder, &mut ChaCha8Rng::seed_from_u64(0), device);
    let model = weights::load(model, &weights)?.valid();
    let positions = encoder.positions;
    let workers = Arc::new(Workers::new(device, usize::MAX)?);
    let objective = Arc::new(objective);
    Ok(Loaded { objective, knobs, encoder, model, tokenizer, positions, device: device.clone(), workers })
}

/// Replaces the initial weights of `model` by those in `folder` that it has too, under the same name or, where a masked
/// language model lies there, under that of [`Objective::ancestor`].
///
/// # Errors
/// When there is no model, or a parameter of the same name has another shape.
pub fn start_from<O: Objective>(objective: &O, model: O::Model, folder: &Path) -> Result<O::Model> {
    let found = find(folder)?;
    let there = match &found {
        Found::Run { checkpoint, .. } => weights::read(&checkpoint.join("model.safetensors"))?,
        Found::HuggingFace(folder) => hub::read(folder)?.weights,
    };
    let (mut start, mut fresh) = (weights::collect(&model), Vec::new());
    for (name, weight) in &mut start {
        match there.get(name).or_else(|| there.get(&objective.ancestor(name))) {
            Some(found) if found.shape == weight.shape => weight.clone_from(found),
            Some(found) => {
                return Err(BadInput(format!(
                    "--init {}: `{name}` has the shape {:?} there and {:?} here; give the encoder the same shape",
                    folder.display(),
                    found.shape,
                    weight.shape
                ))
                .into());
            }
            None => fresh.push(name.clone()),
        }
    }
    if fresh.len() == start.len() {
        return Err(BadInput(format!("--init {}: it has no parameter of this model", folder.display())).into());
    }
    if !fresh.is_empty() {
        tracing::warn!("--init {}: new weights for {}", folder.display(), fresh.join(", "));
    }
    Ok(weights::load(model, &start)?)
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
            "encoder.vocabulary = {}: the tokenizer has {size} tokens; raise it (0 takes the tokenizer's size), or use \
             the tokenizer that belongs to the model",
            encoder.vocabulary
        )));
    }
    Ok(())
}
