//! Training: data, the loop, what feeds it, optimizers, schedules, checkpoints, logs.

pub mod budget;
pub mod checkpoint;
mod data;
mod feed;
pub mod gradients;
mod groups;
mod log;
pub mod optimizer;
mod plan;
mod run;
pub mod schedule;
mod session;
mod state;
pub mod step;
pub mod weights;

pub use data::{
    Examples, Labelled, Source, Text, cache_folder, context, evaluation_set, labelled_set,
    open_tokenizer, text,
};
pub use feed::{GlobalBatch, Micro};
pub use log::{write_aside, write_json};
pub use run::{
    Folder, Material, PretrainJob, Resume, TOKEN_COUNTS, inspect_folder, pretrain, train,
};
