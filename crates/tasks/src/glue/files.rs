//! The files of GLUE's tasks and their columns.

use std::path::Path;

use super::{Part, Recipe, Split, Target};
use crate::error::{Error, Result};
use crate::table::{Columns, Example, Header, Label, Ragged, Table};

/// The files of a task.
#[derive(Debug)]
pub struct Files {
    text: &'static str,
    pair: Option<&'static str>,
    label: &'static str,
    /// Of training and development data; test data has one always.
    header: Header,
    /// Where the text stands in test data, if elsewhere.
    test_text: &'static str,
    /// By part: the names a file may have, the first one that is there is read.
    train: &'static [&'static [&'static str]],
    dev: &'static [&'static [&'static str]],
    test: &'static [&'static [&'static str]],
}

/// One file for each split, with a header.
const PLAIN: Files = Files {
    text: "sentence",
    pair: None,
    label: "label",
    header: Header::Present,
    test_text: "sentence",
    train: &[&["train.tsv"]],
    dev: &[&["dev.tsv"]],
    test: &[&["test.tsv"]],
};

/// Two sentences with a label.
const PAIR: Files =
    Files { text: "sentence1", pair: Some("sentence2"), test_text: "sentence1", ..PLAIN };

pub static COLA: Files = Files { text: "3", label: "1", header: Header::Absent, ..PLAIN };
pub static SST2: Files = PLAIN;
/// The original release has no development data; GLUE cut its own from the training data, and kept
/// the test data, whose labels are in `msr_paraphrase_test.txt`.
pub static MRPC: Files = Files {
    text: "#1 String",
    pair: Some("#2 String"),
    label: "Quality",
    test_text: "#1 String",
    train: &[&["train.tsv", "msr_paraphrase_train.txt"]],
    test: &[&["test.tsv", "msr_paraphrase_test.txt"]],
    ..PLAIN
};
pub static STSB: Files = Files { label: "score", ..PAIR };
pub static QQP: Files = Files {
    text: "question1",
    pair: Some("question2"),
    label: "is_duplicate",
    test_text: "question1",
    ..PLAIN
};
pub static MNLI: Files = Files {
    label: "gold_label",
    dev: &[&["dev_matched.tsv"], &["dev_mismatched.tsv"]],
    test: &[&["test_matched.tsv"], &["test_mismatched.tsv"]],
    ..PAIR
};
pub static QNLI: Files =
    Files { text: "question", pair: Some("sentence"), test_text: "question", ..PLAIN };
pub static RTE: Files = PAIR;

impl Files {
    /// Reads a split. See [`Recipe::read`].
    pub fn read(&self, recipe: &Recipe, folder: &Path, split: Split) -> Result<Vec<Part>> {
        let files = match split {
            Split::Train => self.train,
            Split::Dev => self.dev,
            Split::Test => self.test,
        };
        files.iter().map(|names| self.part(recipe, folder, names, split)).collect()
    }

    fn part(&self, recipe: &Recipe, folder: &Path, names: &[&str], split: Split) -> Result<Part> {
        let file = names.iter().find(|name| folder.join(name).is_file()).ok_or_else(|| {
            let wanted =
                format!("{}: no {} in {}", recipe.name, names.join(" or "), folder.display());
            Error::data(format!(
                "{wanted}; give the folder with the task's files as GLUE downloads them"
            ))
        })?;
        let path = folder.join(file);
        let table = Table::open(&path, &self.columns(recipe, split))?;
        check(recipe, &path, &table.examples)?;
        let name = file.rsplit_once('.').map_or(*file, |(stem, _)| stem);
        Ok(Part { name: name.to_owned(), table })
    }

    /// The columns of the file at `path`. See [`Recipe::columns`].
    pub fn columns_of(&self, recipe: &Recipe, path: &Path) -> Columns {
        let name = path.file_name().unwrap_or_default();
        let test = self.test.iter().flat_map(|names| *names).any(|known| name == *known);
        self.columns(recipe, if test { Split::Test } else { Split::Dev })
    }

    fn columns(&self, recipe: &Recipe, split: Split) -> Columns {
        let (text, label, header) = match split {
            Split::Train | Split::Dev => (self.text, Some(self.label.to_owned()), self.header),
            Split::Test => (self.test_text, None, Header::Present),
        };
        Columns {
            text: text.to_owned(),
            pair: self.pair.map(str::to_owned),
            label,
            kind: recipe.kind(),
            header,
            ragged: Ragged::Skip,
        }
    }
}

/// That each class is one of the task's.
fn check(recipe: &Recipe, path: &Path, examples: &[Example]) -> Result<()> {
    let Target::Class { labels, .. } = recipe.target else { return Ok(()) };
    for example in examples {
        if let Some(Label::Class(name)) = &example.label
            && !labels.contains(&name.as_str())
        {
            let known = labels.join(", ");
            let message = format!("`{name}` is no class of {}; known: {known}", recipe.name);
            return Err(Error::line(path, example.line, message));
        }
    }
    Ok(())
}
