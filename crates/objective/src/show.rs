//! Tokens as an objective shows them to the model, for display.

/// What happened to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing.
    Plain,
    /// Nothing: a special token of the layout.
    Special,
    /// A target, replaced by the mask token.
    Masked,
    /// A target, replaced by another token.
    Random,
    /// A target, left as it is.
    Kept,
    /// Sampled by a generator, to be detected.
    Replaced,
}

/// A token as the model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The id the model sees.
    pub token: u32,
    /// The token to be predicted at this position.
    pub label: Option<u32>,
    /// What happened to the token.
    pub mark: Mark,
    /// The segment of the token.
    pub segment: u32,
}
