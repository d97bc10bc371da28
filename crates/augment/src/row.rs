//! The rows that are varied.

/// A sentence or a pair of sentences.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TextRow {
    /// The sentence, or the first one.
    pub first: String,
    /// The second one.
    pub second: Option<String>,
}

/// Which of paper and code is followed where they disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// The paper, see the crate's header.
    #[default]
    Clean,
    /// The authors' code.
    Authors,
}

/// `original`, then `variants` in their order, without duplicates.
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
