//! Questions about paragraphs, as SQuAD 1.1 and 2.0 store them (Rajpurkar et al. 2016, 2018).

mod anchor;
mod file;
mod questions;

use std::path::Path;

use crate::error::Result;

pub use questions::{Answer, Misplaced, Paragraph, Question, Squad};

impl Squad {
    /// Reads a file.
    ///
    /// # Errors
    /// When the file cannot be read, is no JSON, or has no question, when two questions have the
    /// same id, or when a field is missing; the message names the article, the paragraph and the
    /// question.
    pub fn open(path: &Path) -> Result<Self> {
        file::read(path)
    }
}
