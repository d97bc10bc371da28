//! The rows of a table.

use super::columns::{Columns, LabelKind, MissingLabel};

/// A text or a pair of texts, perhaps with a label.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRow {
    /// The line of the file on which the row begins, from 1.
    pub line: usize,
    /// The value of the column that identifies rows: `id`, `idx`, `index`, `guid` or
    /// `pairID`.
    pub id: Option<String>,
    /// The text as written, possibly empty.
    pub first: String,
    /// The other text of a pair.
    pub second: Option<String>,
    /// The label, where the row has one.
    pub label: Option<Label>,
}

/// The label of an example.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// The name of a class, never empty, without white space at its edges.
    Class(String),
    /// A finite number.
    Score(f64),
}

/// The examples of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The examples in the order of the file, at least one.
    pub examples: Vec<TableRow>,
    /// The lines that [`Ragged::Skip`](super::Ragged::Skip) left out.
    pub skipped: Vec<usize>,
    /// What was read otherwise than it is written, a sentence each.
    pub remarks: Vec<String>,
}

/// Names of columns that identify rows.
pub const IDS: [&str; 5] = ["id", "idx", "index", "guid", "pairID"];

/// SNLI's and MultiNLI's column of the label that most annotators gave, and what it holds where
/// they disagreed.
const NO_MAJORITY: (&str, &str) = ("gold_label", "-");

/// A row as written.
pub struct RawRow {
    pub line: usize,
    pub id: Option<String>,
    pub first: String,
    pub second: Option<String>,
    pub label: Option<String>,
}

/// Collects the rows of a table.
pub struct Collector<'a> {
    columns: &'a Columns,
    table: Table,
    /// Lines of labels with white space at an edge.
    padded: Vec<usize>,
    /// Lines of rows without a label that most annotators gave.
    undecided: Vec<usize>,
}

impl<'a> Collector<'a> {
    pub fn new(columns: &'a Columns) -> Self {
        let (padded, undecided) = (Vec::new(), Vec::new());
        Self { columns, table: Table::default(), padded, undecided }
    }

    /// Adds a row.
    pub fn add(&mut self, row: RawRow) -> Result<(), String> {
        let RawRow { line, id, first, second, label: written } = row;
        let column = self.columns.label.as_deref();
        let undecided = (column, written.as_deref().map(str::trim))
            == (Some(NO_MAJORITY.0), Some(NO_MAJORITY.1));
        let absent = undecided || written.as_deref().is_none_or(|label| label.trim().is_empty());

        let label = match (written, self.columns.missing_label) {
            (_, MissingLabel::Refuse) if undecided => {
                self.undecided.push(line);
                return Ok(());
            }
            (_, MissingLabel::Allow) if absent => None,
            (None, _) => None,
            (Some(written), _) => {
                if written.trim() != written {
                    self.padded.push(line);
                }
                match (label(&written, self.columns.kind), self.columns.missing_label) {
                    (Err(_), MissingLabel::Allow) => None,
                    (label, _) => Some(label?),
                }
            }
        };
        self.table.examples.push(TableRow { line, id, first, second, label });
        Ok(())
    }

    /// Leaves out a row of another length.
    pub fn skip(&mut self, line: usize) {
        self.table.skipped.push(line);
    }

    /// Notes what was read otherwise than it is written.
    pub fn remark(&mut self, remark: &str) {
        self.table.remarks.push(remark.to_owned());
    }

    /// The table.
    pub fn finish(mut self) -> Table {
        let counted = |lines: &[usize], what: &str| {
            let first = lines.first()?;
            Some(format!("{} {what}, the first on line {first}", lines.len()))
        };
        let padded = "labels have white space at an edge, which is taken off";
        let undecided = "rows on whose label annotators disagreed (`-`) are left out";
        let skipped = "rows with another number of fields are left out";
        self.table.remarks.extend(counted(&self.padded, padded));
        self.table.remarks.extend(counted(&self.undecided, undecided));
        self.table.remarks.extend(counted(&self.table.skipped, skipped));
        self.table.remarks.extend(constant_score(&self.table.examples));
        self.table
    }
}

/// The remark on scores that are all the same.
fn constant_score(rows: &[TableRow]) -> Option<String> {
    let scores: Option<Vec<f64>> = rows
        .iter()
        .map(|row| match row.label {
            Some(Label::Score(score)) => Some(score),
            _ => None,
        })
        .collect();
    let scores = scores?;
    let first = scores.first()?;
    scores.iter().all(|score| score == first).then(|| {
        format!("every score is {first}: there is nothing to learn, and correlations are undefined")
    })
}

/// Reads a label.
fn label(written: &str, kind: LabelKind) -> Result<Label, String> {
    let written = written.trim();
    if written.is_empty() {
        return Err("the label is empty; fill it in, or take the row out".to_owned());
    }

    match kind {
        LabelKind::Class => Ok(Label::Class(written.to_owned())),
        LabelKind::Score => match written.parse::<f64>() {
            Ok(score) if score.is_finite() => Ok(Label::Score(score)),
            _ => Err(format!(
                "the label `{written}` is no number; write one such as 3.5, or take labels as \
                 classes"
            )),
        },
    }
}
