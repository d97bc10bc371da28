//! `distill`: learning from a teacher.

mod args;
mod shape;
mod task;
mod teacher;
mod text;

use anyhow::Result;

use self::args::Method;
use crate::exit::Usage;
use crate::model;

pub use args::Args;

/// Runs `distill`.
///
/// # Errors
/// Bad configuration or data, a teacher that cannot teach this, divergence, an interruption.
pub fn run(args: &Args) -> Result<()> {
    if args.run.config.objective.is_some() {
        return Err(Usage("--objective: --method tells what is learnt".to_owned()).into());
    }
    let source = model::find(&args.teacher)?;
    anstream::eprintln!("teacher: {}", source.describe());
    match args.method {
        Method::Distilbert | Method::TinybertGeneral => text::run(args, &source),
        Method::TinybertTask | Method::Bilstm | Method::Textcnn | Method::Bag => {
            task::run(args, &source)
        }
    }
}
