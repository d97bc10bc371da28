//! Which columns of a table are read, and how.

/// Whether labels are classes or numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelKind {
    /// Classification.
    Class,
    /// Regression.
    Score,
}

/// Whether the first line of TSV or CSV names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// The first line names the columns.
    #[default]
    Present,
    /// The first line is an example; the columns are called 0, 1, 2 and so on.
    Absent,
}

/// What to do with a row that has another number of fields than the first line, or with a JSON line
/// that lacks a column. GLUE's QQP has a few such rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ragged {
    /// Report an error.
    #[default]
    Refuse,
    /// Leave the row out, and list its line in [`Table::skipped`](super::Table::skipped).
    Skip,
}

/// What to do with a row that has no label, and with a table that has no column of labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingLabel {
    /// Report an error. A row on whose label annotators disagreed (`-` in a column `gold_label`) is
    /// left out.
    #[default]
    Refuse,
    /// Read the row without a label: data to predict.
    Allow,
}

/// Which columns of a table to read, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The column with the text.
    pub text: String,
    /// The column with the other text of a pair.
    pub pair: Option<String>,
    /// The column with the label; `None` for data to predict.
    pub label: Option<String>,
    /// What the label is.
    pub kind: LabelKind,
    /// Whether the columns have names; JSON lines always name them.
    pub header: Header,
    /// What to do with a row of another length.
    pub ragged: Ragged,
    /// What to do without a label.
    pub missing_label: MissingLabel,
}

impl Columns {
    /// Texts of one column with the classes of another, under a header.
    pub fn classes(text: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            pair: None,
            label: Some(label.into()),
            kind: LabelKind::Class,
            header: Header::Present,
            ragged: Ragged::Refuse,
            missing_label: MissingLabel::Refuse,
        }
    }
}

/// The message on a missing column: its name, the flag that chooses it, and the columns there are.
pub fn missing(role: Role, name: &str, there: &[&str]) -> String {
    let hint = match there {
        [only] if only.contains([',', ';', '\t']) => {
            "; if the fields of the file are not separated by tabs, its name should end in .csv"
        }
        _ => "",
    };
    format!("no column `{name}`; choose one with {}: {}{hint}", role.flag(), there.join(", "))
}

/// The index of the column called `name` among the columns `there`.
pub fn index(role: Role, name: &str, there: &[&str]) -> Result<usize, String> {
    let mut found = (0..there.len()).filter(|index| there[*index] == name);
    match (found.next(), found.next()) {
        (Some(index), None) => Ok(index),
        (Some(_), Some(_)) => Err(format!(
            "two columns are called `{name}`; rename the one that is not meant, or choose another \
             with {}: {}",
            role.flag(),
            there.join(", ")
        )),
        (None, _) => Err(missing(role, name, there)),
    }
}

/// The role of a column.
#[derive(Clone, Copy)]
pub enum Role {
    Text,
    Pair,
    Label,
}

impl Role {
    /// The flag that chooses the column.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Text => "--text",
            Self::Pair => "--pair",
            Self::Label => "--label",
        }
    }
}
