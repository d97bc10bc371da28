//! A trained model by its folder: what the folder holds, and the model in it.

mod init;
mod load;
mod source;
mod teacher;
mod vocabulary;

pub use init::initialise;
pub use load::{Loaded, load, open_encoder};
pub use source::{ModelSource, find, fit_vocabulary, run_config};
pub use teacher::open as open_teacher;
