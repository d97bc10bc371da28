//! A trained model by its folder: a run, a checkpoint of a run, or a Hugging Face folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use burn::module::Module;
use burn::tensor::Device;
use corpus::Tokenizer;
use objective::{Objective, Teacher};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::EncoderConfig;

use crate::config::{RunConfig, parse};
use crate::exit::BadInput;
use crate::finetune::DataConfig;
use crate::hub::HubModel;
use crate::train::weights::{self, Weights};
use crate::train::{TOKEN_COUNTS, checkpoint};
use crate::workers::Workers;
use crate::{hub, registry, teacher};

/// What a folder holds.
#[derive(Clone, Debug)]
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
/// When it is none of the three, or a run without a good checkpoint.
pub fn find(folder: &Path) -> Result<Found> {
    if folder.join("run.toml").is_file() {
        let found = checkpoint::latest_good(folder)?;
        found.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let good = found.checkpoint.ok_or_else(|| {
            BadInput(format!("{} is a run without a checkpoint; train it first", folder.display()))
        })?;
        let config = run_config(folder)?;
        // What was fine-tuned is worth what its best checkpoint is.
        let checkpoint = match good.state["best"]["step"].as_u64() {
            Some(step) if config.data.is_some() => checkpoint::of_step(folder, step)?,
            _ => good.path,
        };
        return Ok(Found::Run { config, run: folder.to_owned(), checkpoint });
    }
    if folder.join("state.json").is_file() {
        let absolute =
            folder.canonicalize().with_context(|| format!("cannot open {}", folder.display()))?;
        let run =
            absolute.ancestors().nth(2).filter(|run| run.join("run.toml").is_file()).ok_or_else(
                || {
                    BadInput(format!(
                        "{} is a checkpoint outside its run: run.toml is missing",
                        folder.display()
                    ))
                },
            )?;
        checkpoint::verify(&absolute).map_err(|error| BadInput(error.to_string()))?;
        return Ok(Found::Run {
            config: run_config(run)?,
            run: run.to_owned(),
            checkpoint: absolute,
        });
    }
    let model = if hub::is_native(folder) {
        hub::read_native(folder)?
    } else if hub::is_hub_folder(folder) {
        hub::read(folder)?
    } else {
        return Err(BadInput(format!(
            "{} is no model: expected a run's folder (run.toml), a checkpoint in it (state.json), an imported model \
             (model.toml), or a Hugging Face folder (config.json and model.safetensors)",
            folder.display()
        ))
        .into());
    };
    if !model.unused.is_empty() {
        tracing::warn!("{}: not used: {}", folder.display(), model.unused.join(", "));
    }
    Ok(Found::Hub { folder: folder.to_owned(), model: Box::new(model) })
}

/// The configuration in a run's folder.
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
    Ok(Box::new(registry::resolve(parse(table, "")?)?))
}

impl Found {
    /// One line for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Run { checkpoint, .. } => format!("checkpoint {}", checkpoint.display()),
            Self::Hub { folder, model } => {
                format!("{} in {}", model.architecture.class(model.config.family), folder.display())
            }
        }
    }

    /// The objective whose model this is.
    ///
    /// # Errors
    /// When the run's configuration names none.
    pub fn objective(&self) -> Result<&str> {
        match self {
            Self::Run { config, .. } => Ok(config.objective_name()?),
            Self::Hub { model, .. } => Ok(model.objective().0),
        }
    }

    /// The objective's knobs: the run's, or those that a Hugging Face folder tells.
    pub fn knobs(&self) -> toml::Table {
        match self {
            Self::Run { config, .. } => config.objective_knobs(),
            Self::Hub { model, .. } => model.objective().1,
        }
    }

    /// The longest sequence of a task, special tokens included: the run's, or what most models
    /// take.
    pub fn max_length(&self) -> usize {
        match self {
            Self::Run { config, .. } => config.corpus.max_length,
            Self::Hub { model, .. } => model.config.encoder.positions.min(512),
        }
    }

    /// How the rows of a task were read, where the model learnt one here.
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
        let counts: Option<Vec<u64>> =
            serde_json::from_str(&text).ok().filter(|counts: &Vec<u64>| counts.len() == size);
        let message =
            || BadInput(format!("{}: expected {size} numbers, one for each token", path.display()));
        Ok(Some(counts.ok_or_else(message)?))
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

    /// The same without what it learnt from.
    #[must_use]
    pub fn alone(&self) -> Self {
        let mut found = self.clone();
        if let Self::Run { config, .. } = &mut found {
            config.teacher = PathBuf::new();
        }
        found
    }

    /// Bytes of the file of the parameters, of the files where there are several.
    ///
    /// # Errors
    /// When they cannot be looked at.
    pub fn bytes(&self) -> Result<u64> {
        let size = |path: &Path| {
            let metadata =
                path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
            anyhow::Ok(metadata.len())
        };
        let folder = match self {
            Self::Run { checkpoint, .. } => return size(&checkpoint.join("model.safetensors")),
            Self::Hub { folder, .. } => folder,
        };
        let mut bytes = [0; 2];
        for entry in std::fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry?.path();
            let ending = path
                .extension()
                .and_then(|ending| ["safetensors", "bin"].iter().position(|e| ending == *e));
            if let Some(ending) = ending {
                bytes[ending] += size(&path)?;
            }
        }
        // A folder with both holds the same twice.
        Ok(if bytes[0] > 0 { bytes[0] } else { bytes[1] })
    }

    /// The tokenizer that belongs to the model.
    ///
    /// # Errors
    /// When its file is missing or damaged.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::open(&self.tokenizer_path())?)
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
    /// The model that it learnt from, where it is still there.
    pub teacher: Option<Arc<Teacher>>,
    /// The weights, on the device, without autodiff.
    pub model: O::Model,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// How often each token occurs in the training text, where that is known.
    pub counts: Option<Vec<u64>>,
    /// Longest sequence, special tokens included.
    pub positions: usize,
    /// Where it lies.
    pub device: Device,
    /// What computes batches side by side.
    pub workers: Arc<Workers>,
}

/// Loads the model in `found` for the objective `O`, whose knobs are the run's (the defaults for a
/// Hugging Face folder).
///
/// # Errors
/// When tokenizer and weights do not belong together, or a file is damaged.
pub fn load<O: Objective>(found: &Found, device: &Device) -> Result<Loaded<O>> {
    let (tokenizer, knobs, encoder) = (found.tokenizer()?, found.knobs(), found.encoder()?);
    let weights = found.weights()?;
    let counts = found.token_counts(tokenizer.vocabulary_size())?;
    // Where they are not known all tokens count alike, which matters to training masks only.
    let known = counts.clone().unwrap_or_else(|| vec![1; tokenizer.vocabulary_size()]);
    let mut context = crate::train::context(&tokenizer, known, encoder.positions, &encoder);
    if let Found::Run { config, .. } = found {
        context.teacher = teacher::open(&config.teacher, device).unwrap_or_else(|error| {
            tracing::warn!("what compares with the teacher is left out: {error:#}");
            None
        });
    }
    let teacher = context.teacher.clone();
    let objective = O::new(parse(knobs.clone(), "objective.")?, &context)?;
    let model = objective.init(&encoder, &mut ChaCha8Rng::seed_from_u64(0), device);
    let model = match found {
        Found::Run { .. } => weights::load(model, &weights)?,
        Found::Hub { .. } => load_parts::<O>(model, weights, &found.describe())?,
    };
    let model = model.valid();
    let positions = encoder.positions;
    let workers = Arc::new(Workers::new(device, usize::MAX)?);
    let objective = Arc::new(objective);
    let device = device.clone();
    Ok(Loaded {
        objective,
        knobs,
        encoder,
        teacher,
        model,
        tokenizer,
        counts,
        positions,
        device,
        workers,
    })
}

/// Loads those of `weights` that the model has; parts of other models are left.
fn load_parts<O: Objective>(
    model: O::Model,
    mut weights: Weights,
    described: &str,
) -> Result<O::Model> {
    let wanted = weights::collect(&model);
    if let Some(missing) = wanted.keys().find(|name| !weights.contains_key(*name)) {
        return Err(BadInput(format!(
            "{described} has no `{missing}`, which a model of `{}` needs; train it with pretrain --init",
            O::NAME
        ))
        .into());
    }
    weights.retain(|name, _| wanted.contains_key(name));
    Ok(weights::load(model, &weights)
        .map_err(|error| BadInput(format!("{described}: config.json and weights: {error}")))?)
}

/// Replaces the initial weights of `model` by those in `folder` that it starts from, see
/// [`Objective::ancestors`].
///
/// # Errors
/// When there is no model, its tokens are others than those of `tokenizer`, or a parameter of the
/// same name has another shape.
pub fn start_from<O: Objective>(
    objective: &O,
    model: O::Model,
    folder: &Path,
    tokenizer: &Tokenizer,
) -> Result<O::Model> {
    let found = find(folder)?;
    if !found.tokenizer()?.has_tokens_of(tokenizer) {
        return Err(BadInput(format!(
            "--init {}: its tokens are others than those of corpus.tokenizer, so that its weights would mean nothing; leave \
             corpus.tokenizer out to take its tokenizer",
            folder.display()
        ))
        .into());
    }
    let mut there = found.weights()?;
    if found.objective()? == O::NAME {
        let other: O::Config = parse(found.knobs(), "objective.")?;
        there.retain(|name, _| objective.keeps(name, &other));
    }
    let (mut start, mut fresh) = (weights::collect(&model), Vec::new());
    for (name, weight) in &mut start {
        match objective.ancestors(name).iter().find_map(|ancestor| there.get(ancestor)) {
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
    let layers = |name: &&String| name.starts_with("encoder.stack.");
    if start.keys().filter(layers).count() == fresh.iter().filter(layers).count() {
        let message = "no parameter of its layers has a name of this model's; it was written by another version";
        return Err(BadInput(format!("--init {}: {message}", folder.display())).into());
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
