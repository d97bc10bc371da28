//! Fine-tuning: labelled files to training rows, and what a fine-tuned model is worth on them.

mod config;
mod data;
mod encode;
mod judge;
mod learn;

pub use config::DataConfig;
pub use data::{Gold, Split, TaskData, read_lines, read_split};
pub use encode::Encoder;
pub use judge::{Judged, judge};
pub use learn::{Lesson, learn, train};
