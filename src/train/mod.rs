//! Training: data, the loop, what feeds it, optimizers, schedules, checkpoints, logs.

pub mod budget;
pub mod checkpoint;
mod data;
mod feed;
pub mod gradients;
mod log;
pub mod optimizer;
mod plan;
mod run;
pub mod schedule;
mod session;
pub mod step;
pub mod weights;

pub use data::{Source, Text, cache_folder, context, evaluation_set, example, open_tokenizer, text};
pub use feed::{GlobalBatch, Micro};
pub use run::{PretrainJob, Resume, pretrain};
