//! Questions about paragraphs, as SQuAD 1.1 and 2.0 store them (Rajpurkar et al. 2016, 2018).

mod anchor;
mod fields;
mod file;
mod questions;

use std::path::Path;

use crate::error::Result;

pub use questions::{Answer, Misplaced, Paragraph, Question, Squad};

impl Squad {
    /// Reads a file: articles of paragraphs as SQuAD is released, or rows of a question with its
    /// context as `datasets` writes them, in an array or one on each line.
    ///
    /// # Errors
    /// When the file cannot be read, is no JSON, or has no question, when two questions have the
    /// same id, or when a field is missing or holds something else than it should; the message
    /// names the article, the paragraph and the question.
    pub fn open(path: &Path) -> Result<Self> {
        file::read(path)
    }
}
