//! The objectives, one line each; `--help`, the trials and the commands derive from this list.

use anyhow::Result;
use burn::tensor::Device;
use distill::{Distilbert, Simple, Tinybert};
use mlm::Mlm;
use objective::trials::Bench;
use objective::{Context, Example, Objective};
use rtd::Rtd;
use sbo::Sbo;
use sop::Sop;
use toml::Table;
use trunk::EncoderConfig;
use tune::Tune;

use crate::cli::augment::AugmentJob;
use crate::cli::eval::EvalJob;
use crate::cli::fill_mask::FillMaskJob;
use crate::cli::inspect::InspectJob;
use crate::cli::predict::PredictJob;
use crate::config::{RunConfig, parse};
use crate::eval::subject::{Questions, Subject};
use crate::exit::BadInput;
use crate::model::Found;
use crate::train::PretrainJob;
use crate::{cli, model, train};

/// Every objective.
pub const OBJECTIVES: &[Entry] = &[
    entry::<Mlm>(), //
    entry::<Sop>(),
    entry::<Rtd>(),
    entry::<Sbo>(),
    entry::<Distilbert>(),
    entry::<Tinybert>(),
];

/// What `finetune` and `distill` train on labelled data.
const TASKS: &[Entry] = &[entry::<Tune>(), entry::<Simple>()];

/// An objective with its type erased.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The command-line value.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// All knobs of an `[objective]` table, those that are not given at their defaults.
    pub resolve: fn(Table) -> Result<Table, BadInput>,
    /// Checks that a model can be loaded.
    pub check: fn(&Found, &Device) -> Result<()>,
    /// Trains.
    pub pretrain: fn(&PretrainJob<'_>) -> Result<()>,
    /// Evaluates a trained model.
    pub eval: fn(&EvalJob<'_>) -> Result<()>,
    /// Puts a trained model before questions, to measure it beside another one.
    pub subject: for<'a> fn(&Found, &Device, Questions<'a>) -> Result<Box<dyn Subject + 'a>>,
    /// Predicts masked tokens.
    pub fill_mask: fn(&FillMaskJob<'_>) -> Result<()>,
    /// Varies sentences with a masked language model.
    pub augment: fn(&AugmentJob<'_>) -> Result<()>,
    /// Predicts classes, scores, tags and answers.
    pub predict: fn(&PredictJob<'_>) -> Result<()>,
    /// Shows what the objective does to a text.
    pub inspect: fn(&InspectJob<'_>) -> Result<()>,
    /// Runs the trials of the contract with the default knobs; panics with what went wrong.
    pub trials: fn(&Context, &EncoderConfig, &[Example], &Device),
}

/// The entry of the objective `O`.
pub const fn entry<O: Objective>() -> Entry {
    Entry {
        name: O::NAME,
        about: O::ABOUT,
        resolve: |knobs| {
            let config: O::Config = parse(knobs, "objective.")?;
            Ok(Table::try_from(config).expect("a configuration is a TOML table"))
        },
        check: |found, device| model::load::<O>(found, device).map(drop),
        pretrain: train::pretrain::<O>,
        eval: cli::eval::eval::<O>,
        subject: cli::eval::trade_off::subject::<O>,
        fill_mask: cli::fill_mask::fill_mask::<O>,
        augment: cli::augment::augment::<O>,
        predict: cli::predict::predict::<O>,
        inspect: cli::inspect::inspect::<O>,
        trials: |context, encoder, examples, device| {
            let objective = O::new(O::Config::default(), context).expect("the defaults are valid");
            let (encoder, examples, device) = (encoder.clone(), examples.to_vec(), device.clone());
            Bench { objective: &objective, encoder, examples, device }.run();
        },
    }
}

/// The objective called `name`.
///
/// # Errors
/// When there is none, with the known names.
pub fn find(name: &str) -> Result<&'static Entry, BadInput> {
    OBJECTIVES.iter().chain(TASKS).find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = OBJECTIVES.iter().map(|entry| entry.name).collect();
        BadInput(format!("no objective `{name}`; known: {}", names.join(", ")))
    })
}

/// Whether the objective called `name` learns labelled data.
pub fn learns_a_task(name: &str) -> bool {
    TASKS.iter().any(|entry| entry.name == name)
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
