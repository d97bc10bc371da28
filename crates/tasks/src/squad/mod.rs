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
    /// When it cannot be read, is no JSON, has no question, two questions have one id, or a field
    /// is missing; the message names the article, the paragraph and the question.
    pub fn open(path: &Path) -> Result<Self> {
        file::read(path)
    }
}
