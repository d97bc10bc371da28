//! From a configuration to a run's folder.

mod build;
mod folder;
mod inspect;
mod monitor;
mod pretrain;
mod task;
mod text;

pub use folder::{FolderState, Resume};
pub use inspect::{InspectJob, inspect};
pub use pretrain::{PretrainJob, PretrainOutcome, pretrain};
pub use task::{TaskLesson, learn, train as train_task};
pub use text::{
    PreparedText, TextSource, TextStatistics, cache_folder, open_ngrams, open_text, open_tokenizer,
};
