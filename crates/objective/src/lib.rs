//! The contract of a pretraining objective.
//!
//! An objective turns passages of text into batches on the host ([`Objective::collate`]) and
//! batches into sums of losses on a device ([`Objective::forward`]). Everything else (data order,
//! accumulation, optimisation, checkpoints, logging) is the trainer's and the same for all of them,
//! so that objectives can be compared.
//!
//! Three rules make runs repeatable and means right:
//! - the randomness of an example is a function of (seed, epoch, passage), see [`Example::rng`]:
//!   not of its batch, the number of threads, or the point where the run was interrupted;
//! - a batch holds no tensors, so collation is tested on plain vectors;
//! - losses and metrics are sums with their counts, divided only at the very end, so that means
//!   over micro-batches and evaluation batches are right by construction.
//!
//! ```
//! use objective::{Example, fixtures};
//! use rand::Rng;
//!
//! // What is random about an example repeats, whatever was drawn before.
//! let examples = fixtures::examples();
//! let (first, second) = (&examples[0], &examples[1]);
//! let draw = |example: &Example| example.rng("masks").next_u64();
//! assert_eq!(draw(first), draw(first));
//! assert_ne!(draw(first), draw(second));
//! ```

mod context;
mod contract;
mod example;
pub mod fixtures;
mod held_out;
mod show;
mod step;
mod teacher;
pub mod trials;
mod workers;

pub use context::Context;
pub use contract::{Error, Goal, Objective, Packing, Purpose};
pub use example::{Example, Label, LabelledSequence};
pub use held_out::{HeldOutTask, MetricOf};
pub use show::{Mark, Shown};
pub use step::{Decisions, Step, Tally, Term, TokenOutcomes, TokenWeighting};
pub use teacher::{Teacher, TeacherModel};
pub use workers::Workers;
