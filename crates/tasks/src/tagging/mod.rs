//! Token classification: sentences of tagged words, their tokens, and the scores of predicted tags.

mod align;
mod entities;
mod sentences;

pub use align::{Aligned, align};
pub use entities::{EntityScores, Scheme, TagScores, score};
pub use sentences::{TagSource, TaggedSentence, read};
