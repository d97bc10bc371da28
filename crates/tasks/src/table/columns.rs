//! Which columns of a table are read, and how.

/// Whether the label names a class or is a number to be predicted.
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
    /// It does.
    #[default]
    Present,
    /// It is an example already; the columns are called 0, 1, 2 and so on.
    Absent,
}

/// What to do with a row that has another number of fields than the header (without a header: than
/// the first row), or with a JSON line that lacks a column. GLUE's QQP has a few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ragged {
    /// An error.
    #[default]
    Refuse,
    /// Leave it out, and tell its line in [`Table::skipped`](super::Table::skipped).
    Skip,
}

/// Which columns of a table to read, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The column with the text.
    pub text: String,
    /// The column with the other text of a pair.
    pub pair: Option<String>,
    /// The column with the label; `None` for data that is to be predicted.
    pub label: Option<String>,
    /// What the label is.
    pub kind: LabelKind,
    /// Whether the columns have names; JSON lines always name them.
    pub header: Header,
    /// What to do with a row of another length.
    pub ragged: Ragged,
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
        }
    }
}

/// That a column is missing: which one, the flag that chooses it, and those there are.
pub fn missing(role: Role, name: &str, there: &[&str]) -> String {
    format!("no column `{name}`; choose one with {}: {}", role.flag(), there.join(", "))
}

/// What a column is read for.
#[derive(Clone, Copy)]
pub enum Role {
    Text,
    Pair,
    Label,
}

impl Role {
    pub fn flag(self) -> &'static str {
        match self {
            Self::Text => "--text",
            Self::Pair => "--pair",
            Self::Label => "--label",
        }
    }
}
