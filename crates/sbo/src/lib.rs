//! Span boundary objective (SpanBERT; Joshi et al. 2020, section 3.2).
//!
//! Spans of words are masked, and each token `x_i` of a span `(s, e)` is predicted twice: from its
//! own hidden state as in masked language modelling, and from the hidden states of the two tokens
//! outside the span and its position in it: `y_i = f(x_{s-1}, x_{e+1}, p_{i-s+1})` with `f` two
//! dense layers with GELU and layer norm (equation 1), `L = L_mlm + L_sbo`, each a mean over its
//! own targets of the whole step.
//!
//! Spans that overlap or touch are one, so that both boundary tokens are unmasked; a span at the
//! edge of its segment has a special token as boundary and no boundary loss, as in the authors'
//! code; nor have tokens beyond `max_offset`.
//!
//! Where we differ from the authors' code: `sbo/loss` is divided by the number of its targets and
//! not by that number plus one, and neither is divided by the number of targets a second time, as
//! fairseq's trainer does there (with Adam this changes nothing but how epsilon and clipping
//! weigh). `compat = true` adds the one in training, and makes pairs as the authors do (see the
//! crate `sop`). A sentence longer than a sequence is cut into several (there it is dropped). The
//! second dense layer maps to the width of the token table where that differs from the hidden
//! width.
//!
//! ```
//! use objective::{Objective, Purpose, fixtures};
//! use sbo::{Sbo, SboConfig};
//!
//! let objective = Sbo::new(SboConfig::default(), &fixtures::context(40, 24)).unwrap();
//! let batch = objective.collate(&fixtures::examples(), Purpose::Training);
//! let [masked, between_boundaries] = objective.target_counts(&batch).try_into().unwrap();
//! assert!(between_boundaries <= masked);
//! ```

mod batch;
mod config;
mod head;
mod model;

pub use batch::{SboBatch, Span};
pub use config::SboConfig;
pub use head::{Offsets, SboHead};
pub use model::{Sbo, SboModel};

#[cfg(test)]
mod tests;
