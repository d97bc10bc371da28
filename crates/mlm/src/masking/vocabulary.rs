//! The vocabulary as a masker sees it.

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
}
