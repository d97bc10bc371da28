//! Token classification: sentences of tagged words, their tokens, and the scores of predicted tags.

mod align;
mod columns;
mod entities;
mod sentences;
mod tagged;

pub use align::{Aligned, align};
pub use entities::{EntityScores, Scheme, TagScores, score};
pub use sentences::{TagSource, read};
pub use tagged::{TaggedSentence, TaggedText};
