//! The training loop.
//!
//! A [`Run`] is everything that is decided before training starts: settings, data, objective, the
//! model with its initial weights. A [`Session`] trains it: a feed makes batches
//! ahead of time, a [`Stepper`] computes the passes of a step side by side and updates the weights
//! once, and at fixed steps the session logs, has the model evaluated, and saves. It prints
//! nothing: a [`Monitor`] evaluates the model, shows progress, and may ask the session to stop.
//!
//! Which rows a step has, their masks and their dropout are functions of the run's seed and the
//! step's number, so that a run that was interrupted and continued ends with the bits of one that
//! was not. Learning rates follow the share of the [`Budget`] that is spent ([`ScheduleConfig`]),
//! whatever the budget's unit.
//!
//! Why not burn-train's learner: it sums accumulated gradients and advances the schedule with every
//! micro-batch, drops the last batch of an epoch, keeps no random state in its checkpoints, and
//! divides data by the number of threads.
//!
//! ```
//! use train::ScheduleConfig;
//!
//! let schedule = ScheduleConfig { warmup: 0.5, ..ScheduleConfig::default() };
//! // Half of the warmup, its end, and half of the way down.
//! assert_eq!([0.25, 0.5, 0.75].map(|share| schedule.factor(share)), [0.5, 1.0, 0.5]);
//! ```

mod average;
mod budget;
mod course;
mod error;
mod examples;
mod feed;
mod gradients;
mod groups;
mod jsonl;
mod memory;
mod momenta;
mod monitor;
mod optimizer;
mod optimizer_config;
mod plan;
mod runs_csv;
mod schedule;
mod session;
mod settings;
mod state;
mod step;
mod token_weights;
mod window;

pub use budget::{Budget, BudgetProgress};
pub use error::{Error, Result};
pub use examples::{Examples, evaluation_set};
pub use feed::{GlobalBatch, Micro};
pub use gradients::GradientSum;
pub use memory::{AttentionMemory, MemoryEstimate};
pub use monitor::{Evaluation, LogLine, Monitor, Outcome};
pub use optimizer::Optimizer;
pub use optimizer_config::{OptimizerConfig, OptimizerKind};
pub use plan::{Plan, ShownExample};
pub use runs_csv::{RunRow, append_row};
pub use schedule::{ScheduleConfig, ScheduleShape, WarmupShape};
pub use session::{Run, Session};
pub use settings::{BatchConfig, CheckpointConfig, CourseConfig, LogConfig, Settings, StepSize};
pub use state::{Sources, State, Summary};
pub use step::Stepper;
