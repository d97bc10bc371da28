//! `eval`: what a trained model can do.

mod args;
mod held_out;
mod loss;
mod probe;
mod sentences;
mod trade_off;
mod units;

use anyhow::Result;

use self::args::{GeneralTask, Task};
use super::args::use_threads;
use crate::exit::BadInput;
use crate::model;
use crate::registry;

pub use args::Args;

/// Runs `eval`.
///
/// # Errors
/// When the model or the input cannot be read, or a signal asks to stop.
pub fn run(args: &Args) -> Result<()> {
    args.check()?;
    use_threads(args.threads)?;

    let source = model::find(&args.model)?;
    anstream::eprintln!("model: {}", source.describe());
    if args.task.is(GeneralTask::TradeOff) {
        return trade_off::run(args, &source);
    }

    if args.task.is(GeneralTask::Probe) {
        return probe::run(args, &source);
    }

    let entry = registry::of_model(&source)?;
    if entry.learns_a_task() {
        let message = "a fine-tuned model: `finetune` measures it on --dev and --test, `predict` \
                       uses it, and --task trade-off tells what it costs";
        return Err(BadInput(format!("{} is {message}", args.model.display())).into());
    }
    if let Task::Of(needed, task) = args.task
        && needed.name != entry.name
    {
        return Err(BadInput(format!(
            "--task {} needs a model of the objective `{}`; this one is `{}`",
            task.name, needed.name, entry.name
        ))
        .into());
    }

    let loaded = (entry.load)(&source, &args.backend.open()?)?;
    match args.task {
        Task::General(GeneralTask::Pll) => sentences::pll(args, loaded.model.as_ref()),
        Task::General(GeneralTask::RtdScores) => {
            sentences::token_scores(args, loaded.model.as_ref())
        }
        Task::General(GeneralTask::Blimp) => sentences::blimp(args, loaded.model.as_ref()),
        Task::General(GeneralTask::Units) => units::run(args, &source, &loaded),
        Task::General(GeneralTask::Loss | GeneralTask::TradeOff | GeneralTask::Probe) => {
            loss::run(args, &source, &loaded, None)
        }
        Task::Of(_, task) => loss::run(args, &source, &loaded, Some(task)),
    }
}
