//! The objectives, one line each; `--help`, the trials and the commands derive from this list.

use anyhow::Result;
use burn::tensor::Device;
use distill::{Distilbert, Simple, Tinybert};
use finetune::Finetune;
use hub::{ExportedModel, Family, TrainedModel};
use mlm::Mlm;
use mntp::Mntp;
use objective::trials::Bench;
use objective::{Context, Example, HeldOutTask, Objective};
use rtd::Rtd;
use sbo::Sbo;
use sop::Sop;
use toml::Table;
use train::ShownExample;
use trunk::EncoderConfig;

use crate::config::RunConfig;
use crate::exit::BadInput;
use crate::model::{self, Loaded, ModelSource};
use crate::run::{self, InspectJob, PretrainJob, PretrainOutcome};

/// Every objective that learns from text.
pub const OBJECTIVES: &[Entry] = &[
    entry::<Mlm>(), //
    entry::<Sop>(),
    entry::<Rtd>(),
    entry::<Sbo>(),
    entry::<Mntp>(),
    entry::<Distilbert>(),
    entry::<Tinybert>(),
];

/// The objectives that `finetune` and `distill` train on labelled data.
const TASK_OBJECTIVES: &[Entry] = &[entry::<Finetune>(), entry::<Simple>()];

/// The objective of a configuration that names none.
pub const DEFAULT: &str = Mlm::NAME;

/// An objective with its type erased.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The command-line value.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Whether training needs a teacher.
    pub needs_teacher: bool,
    /// The evaluations of held-out text that only this objective has.
    pub tasks: &'static [HeldOutTask],
    /// The family of transformers whose models it trains, whatever the shape.
    pub family: Option<Family>,
    /// All knobs of an `[objective]` table, those that are not given at their defaults.
    pub resolve: fn(Table) -> Result<Table, settings::Error>,
    /// The knobs of a model, if it is of this objective.
    pub knobs: fn(&ModelSource) -> Option<Table>,
    /// Loads a model.
    pub load: fn(&ModelSource, &Device) -> Result<Loaded>,
    /// A trained model, whose knobs are given, as classes of transformers.
    pub export: fn(Table, TrainedModel<'_>, Option<Family>) -> Result<Vec<ExportedModel>>,
    /// Trains on text.
    pub pretrain: fn(&PretrainJob<'_>) -> Result<PretrainOutcome>,
    /// What the objective does to a text.
    pub inspect: fn(&InspectJob<'_>) -> Result<Vec<ShownExample>>,
    /// Runs the trials of the contract with the default knobs; panics with what went wrong.
    pub trials: fn(&Context, &EncoderConfig, &[Example], &Device),
}

/// The entry of the objective `O`.
pub const fn entry<O: Objective>() -> Entry {
    Entry {
        name: O::NAME,
        about: O::ABOUT,
        needs_teacher: O::NEEDS_TEACHER,
        tasks: O::TASKS,
        family: O::FAMILY,
        resolve: complete_knobs::<O>,
        knobs: ModelSource::knobs::<O>,
        load: model::load::<O>,
        export: export::<O>,
        pretrain: run::pretrain::<O>,
        inspect: run::inspect::<O>,
        trials: run_trials::<O>,
    }
}

fn complete_knobs<O: Objective>(knobs: Table) -> Result<Table, settings::Error> {
    let config: O::Config = settings::parse(knobs, "objective.")?;
    Ok(Table::try_from(config).expect("a configuration is a TOML table"))
}

fn export<O: Objective>(
    knobs: Table,
    trained: TrainedModel<'_>,
    family: Option<Family>,
) -> Result<Vec<ExportedModel>> {
    let config: O::Config = settings::parse(knobs, "objective.")?;
    Ok(O::export(&config, trained, family)?)
}

fn run_trials<O: Objective>(
    context: &Context,
    encoder: &EncoderConfig,
    examples: &[Example],
    device: &Device,
) {
    let objective = O::new(O::Config::default(), context).expect("the defaults are valid");
    let (encoder, examples, device) = (encoder.clone(), examples.to_vec(), device.clone());
    Bench { objective: &objective, encoder, examples, device }.run();
}

/// All objectives.
fn all() -> impl Iterator<Item = &'static Entry> {
    OBJECTIVES.iter().chain(TASK_OBJECTIVES)
}

/// The objective called `name`.
///
/// # Errors
/// When there is none, with the known names.
pub fn find(name: &str) -> Result<&'static Entry, BadInput> {
    all().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = OBJECTIVES.iter().map(|entry| entry.name).collect();
        BadInput(format!("no objective `{name}`; known: {}", names.join(", ")))
    })
}

/// The objective of a model.
///
/// # Errors
/// When the run's configuration names none that is known.
pub fn of_model(source: &ModelSource) -> Result<&'static Entry, BadInput> {
    match source {
        ModelSource::Run { config, .. } => find(config.objective_name()?),
        ModelSource::Hub { .. } => {
            let described = || BadInput(format!("no objective trains {}", source.describe()));
            all().find(|entry| (entry.knobs)(source).is_some()).ok_or_else(described)
        }
    }
}

impl Entry {
    /// Whether the objective learns labelled data.
    pub fn learns_a_task(&self) -> bool {
        TASK_OBJECTIVES.iter().any(|entry| entry.name == self.name)
    }
}

/// The evaluation of held-out text called `name`, and its objective.
pub fn held_out_task(name: &str) -> Option<(&'static Entry, &'static HeldOutTask)> {
    held_out_tasks().find(|(_, task)| task.name == name)
}

/// The evaluations of held-out text that only models of one objective have, each with its
/// objective.
pub fn held_out_tasks() -> impl Iterator<Item = (&'static Entry, &'static HeldOutTask)> {
    OBJECTIVES.iter().flat_map(|entry| entry.tasks.iter().map(move |task| (entry, task)))
}

/// Completes `config.objective` to all its knobs and checks the whole.
///
/// # Errors
/// Names what is unknown or cannot be.
pub fn resolve(mut config: RunConfig) -> Result<RunConfig> {
    let name = config.objective_name()?.to_owned();
    let mut table = (find(&name)?.resolve)(config.objective_knobs())?;
    table.insert("name".to_owned(), name.into());
    config.objective = table;
    config.validate()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use settings::Layers;

    use super::*;
    use crate::config::{PRESETS, preset};

    #[test]
    fn every_preset_is_a_valid_configuration() {
        for (name, _) in PRESETS {
            let mut layers = Layers::default();
            layers.lay(preset(name).expect("known"));
            let config: RunConfig = layers.resolve().unwrap_or_else(|e| panic!("{name}: {e}"));
            resolve(config).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }

    #[test]
    fn every_class_of_transformers_is_of_one_objective() {
        let claims = |model: &hub::HubModel| {
            let folder = std::path::PathBuf::new();
            let source = ModelSource::Hub { folder, model: Box::new(model.clone()) };
            all().filter(|entry| (entry.knobs)(&source).is_some()).count()
        };

        let (encoder, weights) = (EncoderConfig::default(), checkpoint::Weights::new());
        for architecture in hub::Architecture::ALL {
            for family in Family::ALL.into_iter().filter(|it| architecture.is_of(*it)) {
                let config = hub::HubConfig {
                    family,
                    architecture: Some(architecture),
                    encoder: encoder.clone(),
                    labels: Vec::new(),
                    regression: false,
                    head_dropout: 0.1,
                    mean_pooling: false,
                };

                let weights = weights.clone();
                let model = hub::HubModel { config, architecture, weights, unused: Vec::new() };
                assert_eq!(claims(&model), 1, "{}", model.class());
            }
        }
    }
}
