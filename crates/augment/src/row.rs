//! What is varied.

/// A sentence or a pair of sentences.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TextRow {
    /// The sentence, or the first one.
    pub first: String,
    /// The second one.
    pub second: Option<String>,
}

/// Where paper and code disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// The paper's, see the crate's header.
    #[default]
    Clean,
    /// The authors' code's.
    Authors,
}

/// `original` and those of `variants` that are new, each once, in their order.
pub(crate) fn distinct(
    original: &TextRow,
    variants: impl IntoIterator<Item = TextRow>,
) -> Vec<TextRow> {
    let mut found = vec![original.clone()];
    for variant in variants {
        if !found.contains(&variant) {
            found.push(variant);
        }
    }
    found
}
