//! Texts with a class.

use serde::Serialize;

/// A text, or two, with the answer to a question about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProbeExample {
    /// The text.
    pub text: String,
    /// The second text, where there are two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair: Option<String>,
    /// The number of the class.
    pub class: u32,
}

/// The examples of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSet {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// What the classifier learns from.
    pub train: Vec<ProbeExample>,
    /// What it is measured on, of other paragraphs.
    pub test: Vec<ProbeExample>,
}
