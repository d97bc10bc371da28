//! Labelled texts and pairs of texts from tables with named columns: TSV, CSV and JSON objects.

mod columns;
mod delimited;
mod example;
mod json_lines;

use std::path::Path;

use crate::error::{Error, Result};

pub use columns::{Columns, Header, LabelKind, MissingLabel, Ragged};
pub use example::{Label, Table, TableRow};

impl Table {
    /// Reads a table: TSV, where quotes are plain characters, CSV, where they quote, or JSON
    /// objects, one on each line or in an array. The ending of the name decides (`.tsv`, `.txt`,
    /// `.csv`, `.jsonl`, `.ndjson`, `.json`). Blank lines are no rows.
    ///
    /// # Errors
    /// When the file cannot be read, is not UTF-8, is empty, or lacks a column or has it twice, or
    /// when a row has too few or too many fields, an empty label, or a score that is no number; the
    /// message names the file and the line.
    pub fn open(path: &Path, columns: &Columns) -> Result<Self> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let table = match ending.as_str() {
            "tsv" | "txt" => delimited::read(path, delimited::Dialect::Tsv, columns),
            "csv" => delimited::read(path, delimited::Dialect::Csv, columns),
            "jsonl" | "ndjson" | "json" => json_lines::read(path, columns),
            _ => Err(Error::data(format!(
                "cannot tell what kind of table {} is; tables end in .tsv, .csv, .jsonl or .json: \
                 convert it, such as with pandas' `to_json(FILE, orient=\"records\", lines=True)`",
                path.display()
            ))),
        }?;

        if table.examples.is_empty() {
            return Err(Error::data(format!("{} holds no examples", path.display())));
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file of this name and content.
    fn table(name: &str, content: impl AsRef<[u8]>, columns: &Columns) -> Result<Table> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        Table::open(&path, columns)
    }

    /// The error message after the name of the file.
    fn fault(name: &str, content: impl AsRef<[u8]>, columns: &Columns) -> String {
        let message = table(name, content, columns).unwrap_err().to_string();
        message.split_once(name).expect("the message names the file").1.to_owned()
    }

    fn simple() -> Columns {
        Columns::classes("sentence", "label")
    }

    fn pairs() -> Columns {
        Columns { pair: Some("b".to_owned()), ..Columns::classes("a", "label") }
    }

    fn example(line: usize, first: &str, label: &str) -> TableRow {
        TableRow {
            line,
            id: None,
            first: first.to_owned(),
            second: None,
            label: Some(Label::Class(label.to_owned())),
        }
    }

    #[test]
    fn a_quote_is_a_character_of_tsv_and_quotes_in_csv() {
        let tsv = "sentence\tlabel\n\"Open\tyes\r\n\n say \"\"so\"\", \tno\n";
        assert_eq!(
            table("a.tsv", tsv, &simple()).unwrap().examples,
            [example(2, "\"Open", "yes"), example(4, " say \"\"so\"\", ", "no")]
        );

        let csv = "label,sentence\r\nyes,\"a, \"\"b\"\"\nc\"\r\n\r\n\r\nno,d\n";
        assert_eq!(
            table("a.csv", csv, &simple()).unwrap().examples,
            [example(2, "a, \"b\"\nc", "yes"), example(6, "d", "no")]
        );
    }

    #[test]
    fn json_lines_hold_names_numbers_and_truths() {
        let lines =
            "{\"label\": 1, \"sentence\": \"a\\tb\"}\n\n{\"sentence\": \"\", \"label\": true}\n";
        assert_eq!(
            table("a.jsonl", lines, &simple()).unwrap().examples,
            [example(1, "a\tb", "1"), example(3, "", "true")]
        );

        let scores = Columns { kind: LabelKind::Score, ..simple() };
        let read = table("a.jsonl", "{\"label\": 2.5, \"sentence\": \"a\"}", &scores).unwrap();
        assert_eq!(read.examples[0].label, Some(Label::Score(2.5)));
    }

    #[test]
    fn columns_without_names_are_numbers() {
        let columns = Columns { header: Header::Absent, ..Columns::classes("3", "1") };
        let tsv = "\u{feff}gj04\t1\t\tBirds sing.\ngj04\t0\t*\tSing birds the.\n";
        assert_eq!(
            table("cola.tsv", tsv, &columns).unwrap().examples,
            [example(1, "Birds sing.", "1"), example(2, "Sing birds the.", "0")]
        );

        let columns = Columns { header: Header::Absent, ..Columns::classes("7", "1") };
        assert_eq!(
            fault("a.tsv", "x\ty\n", &columns),
            ":1: no column `7`; choose one with --text: 0, 1"
        );
    }

    #[test]
    fn pairs_and_unlabelled_rows_are_read_too() {
        let columns = Columns { label: None, ..pairs() };
        let read = table("a.csv", "b,a\nsecond,first\n", &columns).unwrap();
        let expected = TableRow {
            line: 2,
            id: None,
            first: "first".to_owned(),
            second: Some("second".to_owned()),
            label: None,
        };
        assert_eq!(read.examples, [expected]);
    }

    #[test]
    fn a_missing_column_is_reported_with_its_flag_and_the_columns_there_are() {
        let tsv = "\u{feff}a\ttarget\nx\ty\n";
        assert_eq!(
            fault("a.tsv", tsv, &simple()),
            ":1: no column `sentence`; choose one with --text: a, target"
        );
        assert_eq!(
            fault("a.tsv", tsv, &pairs()),
            ":1: no column `b`; choose one with --pair: a, target"
        );

        let labels = Columns::classes("a", "label");
        assert_eq!(
            fault("a.tsv", tsv, &labels),
            ":1: no column `label`; choose one with --label: a, target"
        );

        let lines = "{\"sentence\": \"a\", \"label\": 0}\n{\"sentence\": \"a\", \"gold\": 0}\n";
        assert_eq!(
            fault("a.jsonl", lines, &simple()),
            ":2: no column `label`; choose one with --label: gold, sentence"
        );
    }

    #[test]
    fn a_row_of_another_length_is_refused_or_left_out() {
        let tsv = "sentence\tlabel\na\t1\nb\nc\t0\t9\nd\t0\n";
        assert_eq!(
            fault("a.tsv", tsv, &simple()),
            ":3: 1 fields where the first line has 2; mend the row or take it out"
        );

        let skip = Columns { ragged: Ragged::Skip, ..simple() };
        let read = table("a.tsv", tsv, &skip).unwrap();
        assert_eq!((read.examples.len(), read.skipped), (2, vec![3, 4]));
        let lines = "{\"sentence\": \"a\", \"label\": 0}\n{\"label\": 0}\n";
        assert_eq!(table("a.jsonl", lines, &skip).unwrap().skipped, [2]);
    }

    #[test]
    fn files_at_fault_are_named_with_the_line() {
        assert_eq!(
            fault("a.tsv", b"sentence\tlabel\na\t1\nb\xe9\t0\n", &simple()),
            ":3: not UTF-8 (byte 0xe9); convert the file, such as with `iconv -t UTF-8`"
        );

        assert_eq!(fault("a.tsv", "", &simple()), " holds no examples");
        assert_eq!(fault("a.csv", "sentence,label\n", &simple()), " holds no examples");
        assert_eq!(
            fault("a.csv", "sentence,label\na, \n", &simple()),
            ":2: the label is empty; fill it in, or take the row out"
        );

        let scores = Columns { kind: LabelKind::Score, ..simple() };
        assert_eq!(
            fault("a.csv", "sentence,label\na,4.5\nb,inf\n", &scores),
            ":3: the label `inf` is no number; write one such as 3.5, or take labels as classes"
        );

        let message = fault("a.jsonl", "{\"sentence\": \"a\"\n", &simple());
        assert!(message.starts_with(":1: no JSON object on one line: "), "{message}");
        assert_eq!(
            fault("a.jsonl", "{\"sentence\": 3, \"label\": 1}\n", &simple()),
            ":1: `sentence` is 3, not a text in quotes"
        );

        let message = fault("a.xlsx", "", &simple());
        assert!(
            message.starts_with(" is; tables end in .tsv, .csv, .jsonl or .json: "),
            "{message}"
        );
        let gone = Table::open(Path::new("no/such.tsv"), &simple()).unwrap_err();
        assert!(gone.to_string().starts_with("cannot read no/such.tsv: "), "{gone}");
    }

    #[test]
    fn white_space_at_the_edges_of_labels_and_names_is_taken_off_and_told() {
        let csv = "sentence , label\na, yes\nb,no \nc,no\u{a0}\nd,no\n";
        let read = table("a.csv", csv, &simple()).unwrap();
        let labels: Vec<_> = read.examples.iter().map(|row| row.label.clone()).collect();
        let named = |name: &str| Some(Label::Class(name.to_owned()));
        assert_eq!(labels, [named("yes"), named("no"), named("no"), named("no")]);
        assert_eq!(
            read.remarks,
            ["3 labels have white space at an edge, which is taken off, the first on line 2"]
        );
    }

    #[test]
    fn a_column_that_is_there_twice_is_refused() {
        let message = fault("a.tsv", "sentence\tlabel\tlabel\na\t0\t1\n", &simple());
        assert!(message.starts_with(":1: two columns are called `label`; rename"), "{message}");
        // A repeated column that is not read does not matter.
        let tsv = "x\tsentence\tx\tlabel\n1\ta\t2\tyes\n";
        assert_eq!(table("a.tsv", tsv, &simple()).unwrap().examples, [example(2, "a", "yes")]);
    }

    #[test]
    fn fields_between_semicolons_or_tabs_are_found_and_told() {
        for (separator, word) in [(';', "semicolons"), ('\t', "tabs")] {
            let csv = format!("label{separator}sentence\nyes{separator}\"a, b\"\n");
            let read = table("a.csv", csv, &simple()).unwrap();
            assert_eq!(read.examples, [example(2, "a, b", "yes")]);
            let remark = format!("the fields are separated by {word} and not by commas");
            assert_eq!(read.remarks, [remark]);
        }
        // A semicolon in a text does not separate.
        let csv = "sentence,label\na; b,yes\n";
        assert_eq!(table("a.csv", csv, &simple()).unwrap().examples, [example(2, "a; b", "yes")]);

        let message = fault("a.tsv", "sentence,label\na,yes\n", &simple());
        assert!(message.ends_with("its name should end in .csv"), "{message}");
    }

    #[test]
    fn an_array_of_objects_is_a_table() {
        let json = "[{\"sentence\": \"a\", \"label\": 0},\n {\"sentence\": \"b\", \"label\": 1}]";
        for name in ["a.json", "a.jsonl", "a.ndjson"] {
            let expected = [example(1, "a", "0"), example(2, "b", "1")];
            assert_eq!(table(name, json, &simple()).unwrap().examples, expected, "{name}");
        }
    }

    #[test]
    fn rows_on_whose_label_annotators_disagreed_are_left_out_and_counted() {
        let tsv = "sentence\tgold_label\na\t-\nb\tyes\nc\t-\n";
        let columns = Columns::classes("sentence", "gold_label");
        let read = table("a.tsv", tsv, &columns).unwrap();
        assert_eq!(read.examples, [example(3, "b", "yes")]);
        let remark = "2 rows on whose label annotators disagreed (`-`) are left out, the first on \
                      line 2";
        assert_eq!(read.remarks, [remark]);

        // In another column it is a class.
        let tsv = tsv.replace("gold_label", "label");
        assert_eq!(table("a.tsv", tsv, &simple()).unwrap().examples.len(), 3);
    }

    #[test]
    fn data_to_predict_may_have_labels() {
        let allow = |columns: Columns| Columns { missing_label: MissingLabel::Allow, ..columns };
        let labels = |name: &str, content: &str, columns: Columns| -> Vec<bool> {
            let read = table(name, content, &allow(columns)).unwrap();
            read.examples.iter().map(|row| row.label.is_some()).collect()
        };
        assert_eq!(labels("a.tsv", "sentence\na\nb\n", simple()), [false, false]);
        assert_eq!(labels("a.tsv", "sentence\tlabel\na\tyes\nb\t\n", simple()), [true, false]);
        let lines = "{\"sentence\": \"a\"}\n{\"sentence\": \"b\", \"label\": 1}\n";
        assert_eq!(labels("a.jsonl", lines, simple()), [false, true]);
        let undecided = "sentence\tgold_label\na\t-\n";
        assert_eq!(labels("a.tsv", undecided, Columns::classes("sentence", "gold_label")), [false]);
    }

    #[test]
    fn rows_keep_their_id() {
        let ids = |name: &str, content: &str| -> Vec<Option<String>> {
            let read = table(name, content, &Columns { label: None, ..simple() }).unwrap();
            read.examples.into_iter().map(|row| row.id).collect()
        };
        let id = |id: &str| Some(id.to_owned());
        assert_eq!(ids("a.csv", "idx,sentence\n7,a\nx,b\n"), [id("7"), id("x")]);
        assert_eq!(ids("a.jsonl", "{\"id\": 4, \"sentence\": \"a\"}\n"), [id("4")]);
        assert_eq!(ids("a.csv", "sentence\na\n"), [None]);
    }

    #[test]
    fn scores_that_are_all_the_same_are_told() {
        let scores = Columns { kind: LabelKind::Score, ..simple() };
        let remarks = |tsv: &str| table("a.tsv", tsv, &scores).unwrap().remarks;
        let constant = remarks("sentence\tlabel\na\t3\nb\t3.0\n");
        assert!(constant[0].starts_with("every score is 3: "), "{constant:?}");
        assert!(remarks("sentence\tlabel\na\t3\nb\t4\n").is_empty());
    }
}
