//! The vocabulary as a masker sees it.

use std::sync::Arc;

use corpus::Ngrams;

/// What a masker knows about the vocabulary.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Number of ids.
    pub size: usize,
    /// The mask token.
    pub mask: u32,
    /// The token that stands for unknown text, one of the special tokens.
    pub unk: u32,
    /// Ids of special tokens.
    pub specials: Vec<u32>,
    /// How often each id occurs in the training text; may be empty where no knob needs it.
    pub counts: Vec<u64>,
    /// N-grams that belong together; only [`Unit::Pmi`](super::Unit::Pmi) needs them.
    pub ngrams: Option<Arc<Ngrams>>,
}
