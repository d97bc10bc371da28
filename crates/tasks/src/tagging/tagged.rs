//! Sentences of tagged words.

/// A sentence of words with their tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedSentence {
    /// The line of the file on which the sentence begins, from 1.
    pub line: usize,
    /// The words, at least one and none empty.
    pub words: Vec<String>,
    /// The tag of each word; empty where the file is read without tags.
    pub tags: Vec<String>,
}

/// The sentences of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaggedText {
    /// The sentences in the order of the file, at least one.
    pub sentences: Vec<TaggedSentence>,
    /// What was left out, a sentence for each kind.
    pub remarks: Vec<String>,
}
