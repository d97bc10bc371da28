//! The `[data]` table: the files of labelled data and how they are read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tasks::glue::Recipe;
use tasks::{Columns, Header, Result};

/// The `[data]` table of a run that learns labelled data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// A task of GLUE, read from the files in `folder`; empty: the files below.
    pub glue: String,
    /// The folder with the files of the GLUE task as downloaded.
    pub folder: PathBuf,
    /// Training data.
    pub train: PathBuf,
    /// Data that the best checkpoint is chosen by; empty: none.
    pub dev: PathBuf,
    /// Data that are only evaluated; empty: none.
    pub test: PathBuf,
    /// The column or field of the sentence, or of the words. Columns of a file without a header are
    /// called 0, 1, 2 and so on.
    pub text: String,
    /// The column of the second sentence; empty: none.
    pub pair: String,
    /// The column of the label, the score or the tags.
    pub label: String,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Questions: tokens between the beginnings of two windows of a long context (BERT's
    /// `doc_stride`).
    pub step: usize,
    /// Questions: the most tokens of a question.
    pub max_question: usize,
    /// Questions: no answer is given if its score exceeds that of the best answer by more than this
    /// (SQuAD 2.0).
    pub null_threshold: f64,
}

impl DataConfig {
    /// How the file at `path` is read: like the training data, or with the columns of the GLUE
    /// task.
    ///
    /// # Errors
    /// When there is no such GLUE task.
    pub fn of_file(&self, path: &Path) -> Result<Self> {
        if self.glue.is_empty() {
            return Ok(self.clone());
        }

        let Columns { text, pair, label, header, .. } = Recipe::find(&self.glue)?.columns(path);
        let (pair, label) = (pair.unwrap_or_default(), label.unwrap_or_default());
        Ok(Self {
            glue: String::new(),
            text,
            pair,
            label,
            header: header == Header::Present,
            ..self.clone()
        })
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            glue: String::new(),
            folder: PathBuf::new(),
            train: PathBuf::new(),
            dev: PathBuf::new(),
            test: PathBuf::new(),
            text: "sentence".to_owned(),
            pair: String::new(),
            label: "label".to_owned(),
            header: true,
            step: 128,
            max_question: 64,
            null_threshold: 0.0,
        }
    }
}
