//! The tasks of GLUE (Wang et al. 2019) as they are downloaded: files, columns, classes and
//! metrics.

mod files;
mod split;

use std::path::Path;

use crate::error::{Error, Result};
use crate::labels::{Labels, list};
use crate::metrics::{ClassMetric, ScoreMetric};
use crate::table::{Columns, Label, LabelKind, Table, TableRow};
use files::Files;

pub use split::Split;

/// A file of a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The file name without its ending: `dev`, `dev_matched`.
    pub name: String,
    /// The examples.
    pub table: Table,
}

/// The target of a task and its metrics in the paper's order; the first metric decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// A class.
    Class {
        /// The classes in the order of BERT's `run_classifier.py` and ELECTRA's; other code bases
        /// differ.
        labels: &'static [&'static str],
        /// What models call the classes that GLUE only numbers: the names that `datasets` has.
        names: &'static [&'static str],
        /// The metrics.
        metrics: &'static [ClassMetric],
    },
    /// A number.
    Score {
        /// The metrics.
        metrics: &'static [ScoreMetric],
    },
}

/// A task of GLUE.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// The name in the paper: `SST-2`.
    pub name: &'static str,
    /// What is predicted.
    pub target: Target,
    files: &'static Files,
}

impl Recipe {
    /// All tasks in the paper's order. WNLI is left out, as in the papers to compare with.
    pub const ALL: [Self; 8] = [
        class("CoLA", BINARY, &["unacceptable", "acceptable"], MATTHEWS, &files::COLA),
        class("SST-2", BINARY, &["negative", "positive"], ACCURACY, &files::SST2),
        class("MRPC", BINARY, &["not_equivalent", "equivalent"], PARAPHRASE, &files::MRPC),
        Self {
            name: "STS-B",
            target: Target::Score { metrics: &[ScoreMetric::Pearson, ScoreMetric::Spearman] },
            files: &files::STSB,
        },
        class("QQP", BINARY, &["not_duplicate", "duplicate"], PARAPHRASE, &files::QQP),
        class("MNLI", &["contradiction", "entailment", "neutral"], &[], ACCURACY, &files::MNLI),
        class("QNLI", &["entailment", "not_entailment"], &[], ACCURACY, &files::QNLI),
        class("RTE", &["entailment", "not_entailment"], &[], ACCURACY, &files::RTE),
    ];

    /// The task of a name, whose hyphens and capitals do not matter.
    ///
    /// # Errors
    /// When there is no such task; the message lists all.
    pub fn find(name: &str) -> Result<Self> {
        let plain = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
        Self::ALL.into_iter().find(|recipe| plain(recipe.name) == plain(name)).ok_or_else(|| {
            let known = Self::ALL.map(|recipe| recipe.name).join(", ");
            Error::data(format!("no task `{name}` in GLUE; known: {known}"))
        })
    }

    /// Reads a split from the task's folder: one part, or two of MNLI's development and test data.
    /// Rows of another length are left out and listed in [`Table::skipped`].
    ///
    /// # Errors
    /// When a file is missing or at fault, or an example has a class that the task does not.
    pub fn read(&self, folder: &Path, split: Split) -> Result<Vec<Part>> {
        self.files.names(split).iter().map(|names| self.part(folder, names, split)).collect()
    }

    fn part(&self, folder: &Path, names: &[&str], split: Split) -> Result<Part> {
        let file = names.iter().find(|name| folder.join(name).is_file()).ok_or_else(|| {
            let wanted =
                format!("{}: no {} in {}", self.name, names.join(" or "), folder.display());
            Error::data(format!(
                "{wanted}; give the folder with the task's files as GLUE downloads them"
            ))
        })?;

        let path = folder.join(file);
        let table = Table::open(&path, &self.files.columns(self.kind(), split))?;
        self.check_classes(&path, &table.examples)?;

        let name = file.rsplit_once('.').map_or(*file, |(stem, _)| stem);
        Ok(Part { name: name.to_owned(), table })
    }

    /// Checks that each class is one of the task's.
    fn check_classes(&self, path: &Path, examples: &[TableRow]) -> Result<()> {
        let Target::Class { labels, .. } = self.target else { return Ok(()) };
        for example in examples {
            if let Some(Label::Class(name)) = &example.label
                && !labels.contains(&name.as_str())
            {
                let known = labels.join(", ");
                let message = format!("`{name}` is no class of {}; known: {known}", self.name);
                return Err(Error::line(path, example.line, message));
            }
        }
        Ok(())
    }

    /// The columns of a file of the task; test data is recognised by the name of the file.
    pub fn columns(&self, path: &Path) -> Columns {
        self.files.columns_of(self.kind(), path)
    }

    /// The task's classes; `None` where a number is predicted.
    pub fn labels(&self) -> Option<Labels> {
        match self.target {
            Target::Class { labels, .. } => {
                Some(Labels::new(labels.iter().copied()).expect("distinct classes"))
            }
            Target::Score { .. } => None,
        }
    }

    /// The indices of the task's classes among those of a model, in the order of
    /// [`Recipe::labels`]: the classes that have the same name, or the name that `datasets` gives
    /// to a class of GLUE.
    ///
    /// # Errors
    /// When a class has no counterpart of its own.
    pub fn join(&self, model: &Labels) -> Result<Vec<u32>> {
        let Target::Class { labels, names, .. } = self.target else { return Ok(Vec::new()) };
        let mut indices: Vec<u32> = Vec::new();
        for (number, label) in labels.iter().enumerate() {
            let named = || names.get(number).and_then(|name| model.find(name));
            let index = model.find(label).or_else(named).filter(|index| !indices.contains(index));
            indices.push(index.ok_or_else(|| {
                Error::data(format!(
                    "the model's classes are {}, and none of them is the class `{label}` of {}; \
                     name them in `id2label` of its config.json, in the order of its outputs: {}",
                    list(model.names()),
                    self.name,
                    labels.join(", ")
                ))
            })?);
        }
        Ok(indices)
    }

    fn kind(&self) -> LabelKind {
        match self.target {
            Target::Class { .. } => LabelKind::Class,
            Target::Score { .. } => LabelKind::Score,
        }
    }
}

/// The classes that GLUE numbers.
const BINARY: &[&str] = &["0", "1"];
const MATTHEWS: &[ClassMetric] = &[ClassMetric::Matthews];
const ACCURACY: &[ClassMetric] = &[ClassMetric::Accuracy];
/// F1 of the pairs that mean the same, and accuracy.
const PARAPHRASE: &[ClassMetric] = &[ClassMetric::F1 { positive: 1 }, ClassMetric::Accuracy];

const fn class(
    name: &'static str,
    labels: &'static [&'static str],
    names: &'static [&'static str],
    metrics: &'static [ClassMetric],
    files: &'static Files,
) -> Recipe {
    Recipe { name, target: Target::Class { labels, names, metrics }, files }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts that a recipe reads from files with these names and contents.
    fn parts(task: &str, files: &[(&str, &str)], split: Split) -> Result<Vec<Part>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        Recipe::find(task).unwrap().read(folder.path(), split)
    }

    /// The only example of a file: its texts and its label.
    fn only(
        task: &str,
        file: &str,
        content: &str,
        split: Split,
    ) -> (String, Option<String>, Option<Label>) {
        let mut parts = parts(task, &[(file, content)], split).unwrap();
        assert_eq!((parts.len(), parts[0].table.examples.len()), (1, 1));
        let example = parts[0].table.examples.remove(0);
        (example.first, example.second, example.label)
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn name(name: &str) -> Option<Label> {
        Some(Label::Class(name.to_owned()))
    }

    #[test]
    fn tasks_are_found_however_they_are_spelt() {
        for spelling in ["SST-2", "sst2", "sst_2", "Sst-2"] {
            assert_eq!(Recipe::find(spelling).unwrap().name, "SST-2");
        }
        assert_eq!(
            Recipe::find("WNLI").unwrap_err().to_string(),
            "no task `WNLI` in GLUE; known: CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE"
        );
    }

    #[test]
    fn every_layout_is_read_as_downloaded() {
        let train = Split::Train;
        assert_eq!(
            only("CoLA", "train.tsv", "gj04\t0\t*\tThe the sang.\n", train),
            ("The the sang.".to_owned(), None, name("0"))
        );
        assert_eq!(
            only("SST-2", "train.tsv", "sentence\tlabel\na delight \t1\n", train),
            ("a delight ".to_owned(), None, name("1"))
        );

        let mrpc = "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n\
                    1\t7\t8\tHe \"left.\tHe went.\r\n";
        for file in ["train.tsv", "msr_paraphrase_train.txt"] {
            assert_eq!(
                only("MRPC", file, mrpc, train),
                ("He \"left.".to_owned(), text("He went."), name("1"))
            );
        }

        let stsb = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\t\
                    sentence1\tsentence2\tscore\n\
                    0\tnews\tf\t2012\t1\ts\tt\tA cat.\tA dog.\t2.250\n";
        assert_eq!(
            only("STS-B", "train.tsv", stsb, train),
            ("A cat.".to_owned(), text("A dog."), Some(Label::Score(2.25)))
        );

        let qqp = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tWhy?\tHow?\t0\n";
        assert_eq!(
            only("QQP", "train.tsv", qqp, train),
            ("Why?".to_owned(), text("How?"), name("0"))
        );

        let qnli = "index\tquestion\tsentence\tlabel\n0\tWho?\tShe.\tnot_entailment\n";
        assert_eq!(
            only("QNLI", "train.tsv", qnli, train),
            ("Who?".to_owned(), text("She."), name("not_entailment"))
        );

        let rte = "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n";
        assert_eq!(
            only("RTE", "dev.tsv", rte, Split::Dev),
            ("A.".to_owned(), text("B."), name("entailment"))
        );
    }

    #[test]
    fn mnli_is_measured_on_two_files_with_more_columns_than_training() {
        let row =
            |label| format!("sentence1\tsentence2\tlabel1\tgold_label\nA.\tB.\tneutral\t{label}\n");
        let files =
            [("dev_matched.tsv", &*row("neutral")), ("dev_mismatched.tsv", &*row("entailment"))];

        let parts = parts("MNLI", &files, Split::Dev).unwrap();
        let found: Vec<_> = parts
            .iter()
            .map(|part| (part.name.as_str(), part.table.examples[0].label.clone()))
            .collect();
        assert_eq!(
            found,
            [("dev_matched", name("neutral")), ("dev_mismatched", name("entailment"))]
        );
    }

    #[test]
    fn test_files_have_no_labels_and_colas_has_a_header() {
        let cola = "index\tsentence\n0\tIt rains.\n";
        assert_eq!(
            only("CoLA", "test.tsv", cola, Split::Test),
            ("It rains.".to_owned(), None, None)
        );
        let mrpc = "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\tA.\tB.\n";
        assert_eq!(
            only("MRPC", "test.tsv", mrpc, Split::Test),
            ("A.".to_owned(), text("B."), None)
        );
    }

    #[test]
    fn broken_rows_are_told_and_foreign_classes_are_errors() {
        let parts = |task, content| parts(task, &[("train.tsv", content)], Split::Train);
        let qqp = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n\
                   1\t2\t3\tWhy\n\
                   1\t2\t3\tA?\tB?\t1\n";
        assert_eq!(parts("QQP", qqp).unwrap()[0].table.skipped, [2]);

        let rte = "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tneutral\n";
        let message = parts("RTE", rte).unwrap_err().to_string();
        assert!(
            message.ends_with(
                "train.tsv:2: `neutral` is no class of RTE; known: entailment, not_entailment"
            ),
            "{message}"
        );
    }

    #[test]
    fn a_missing_file_is_told_with_every_name_it_could_have() {
        let message = parts("MRPC", &[], Split::Train).unwrap_err().to_string();
        assert!(
            message.starts_with("MRPC: no train.tsv or msr_paraphrase_train.txt in "),
            "{message}"
        );
        let message = parts("MNLI", &[], Split::Dev).unwrap_err().to_string();
        assert!(message.starts_with("MNLI: no dev_matched.tsv in "), "{message}");
    }

    #[test]
    fn classes_of_a_model_are_joined_by_name_and_not_by_number() {
        let join = |task: &str, names: &[&str]| {
            let labels = Labels::new(names.iter().copied()).unwrap();
            Recipe::find(task).unwrap().join(&labels)
        };
        assert_eq!(join("MNLI", &["ENTAILMENT", "neutral", "Contradiction"]).unwrap(), [2, 0, 1]);
        assert_eq!(join("SST-2", &["POSITIVE", "NEGATIVE"]).unwrap(), [1, 0]);
        assert_eq!(join("CoLA", &["LABEL_0", "LABEL_1"]).unwrap(), [0, 1]);
        assert_eq!(join("QNLI", &["not_entailment", "other", "entailment"]).unwrap(), [2, 0]);

        let message = join("MNLI", &["LABEL_0", "LABEL_1", "LABEL_2"]).unwrap_err().to_string();
        assert!(message.contains("none of them is the class `contradiction` of MNLI"), "{message}");
        assert!(message.contains("id2label"), "{message}");
    }

    #[test]
    fn mnlis_rows_without_a_majority_are_left_out_and_counted() {
        let content = "sentence1\tsentence2\tlabel1\tgold_label\n\
                       A.\tB.\tneutral\t-\nC.\tD.\tneutral\tneutral\n";
        let parts = parts("MNLI", &[("train.tsv", content)], Split::Train).unwrap();
        assert_eq!(parts[0].table.examples.len(), 1);
        assert!(parts[0].table.remarks[0].starts_with("1 rows on whose label"));
    }
}
