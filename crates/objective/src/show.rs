//! What an objective does to a text, for people to look at.

/// What happened to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing.
    Plain,
    /// It is a special token of the layout.
    Special,
    /// Replaced by the mask token and asked for.
    Masked,
    /// Replaced by another token and asked for.
    Random,
    /// Left as it is, but asked for.
    Kept,
    /// Written by a generator, and to be found out.
    Replaced,
}

/// A token as the model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The id the model sees.
    pub token: u32,
    /// What it is asked for at this place.
    pub label: Option<u32>,
    /// What happened to it.
    pub mark: Mark,
    /// Segment it is in.
    pub segment: u32,
}
