//! The files of GLUE's tasks and their columns.

use std::path::Path;

use super::split::Split;
use crate::table::{Columns, Header, LabelKind, MissingLabel, Ragged};

/// The files of a task.
#[derive(Debug)]
pub struct Files {
    text: &'static str,
    pair: Option<&'static str>,
    label: &'static str,
    /// Header of training and development data; test data always has one.
    header: Header,
    /// The column of the text in test data.
    test_text: &'static str,
    /// For each file the names it may have; the first that exists is read.
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
/// The original release has no development data: GLUE took its own from the training data. The test
/// data are those of the release, whose labels are in `msr_paraphrase_test.txt`.
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
    /// The files of a split: for each part the names it may have; the first that exists is read.
    pub fn names(&self, split: Split) -> &'static [&'static [&'static str]] {
        match split {
            Split::Train => self.train,
            Split::Dev => self.dev,
            Split::Test => self.test,
        }
    }

    /// The columns of the file at `path`; test data is recognised by the name of the file.
    pub fn columns_of(&self, kind: LabelKind, path: &Path) -> Columns {
        let name = path.file_name().unwrap_or_default();
        let is_test = self.test.iter().flat_map(|names| *names).any(|known| name == *known);
        self.columns(kind, if is_test { Split::Test } else { Split::Dev })
    }

    /// The columns of the files of a split.
    pub fn columns(&self, kind: LabelKind, split: Split) -> Columns {
        let (text, label, header) = match split {
            Split::Train | Split::Dev => (self.text, Some(self.label.to_owned()), self.header),
            Split::Test => (self.test_text, None, Header::Present),
        };

        Columns {
            text: text.to_owned(),
            pair: self.pair.map(str::to_owned),
            label,
            kind,
            header,
            ragged: Ragged::Skip,
            missing_label: MissingLabel::Refuse,
        }
    }
}
