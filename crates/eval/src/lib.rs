//! What a model can do, as values.
//!
//! A [`LoadedModel`] is an objective with trained weights; [`Evaluable`] is what evaluation needs
//! of it, whatever the objective. Everything else works on `&dyn Evaluable` and returns values:
//! held-out losses and metrics ([`loss`]), pseudo-log-likelihoods ([`pll`]), BLiMP's minimal pairs
//! ([`blimp`]), the most probable tokens at masks ([`fill_mask`]), losses on masked tokens that are
//! the same for every model ([`masked`]), and the scores of a task ([`task`]). A [`MeasuredModel`]
//! is one that is measured beside another: its cost, its speed, its predictions.
//!
//! Batches are computed side by side on the cores of the CPU, sorted by length so that little is
//! padded; sums do not depend on the order or on the number of threads.
//!
//! ```no_run
//! # fn evaluate(model: &dyn eval::Evaluable) -> eval::Result<()> {
//! let masks = eval::fill_mask::fill_mask(model, "The river [MASK] under the bridge.", 3)?;
//! println!("{:?}", masks[0]);
//! # Ok(())
//! # }
//! ```

pub mod blimp;
mod detection;
mod error;
mod evaluable;
pub mod fill_mask;
pub mod loss;
pub mod masked;
mod measured;
pub mod pll;
mod sums;
pub mod task;
mod task_model;

pub use error::{Error, Result};
pub use evaluable::{Evaluable, LoadedModel};
pub use measured::{MeasuredModel, ModelPredictions};
pub use sums::{BatchSums, Means, Metric, Uncertainty};
pub use task::TaskOutputs;
pub use task_model::TaskModel;
