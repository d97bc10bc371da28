//! Data augmentation: a student learns a task from variants of the labelled sentences.
//!
//! [`Tinybert`] (Jiao et al. 2020, algorithm 1): every word is replaced with some probability by
//! one of its candidates. A masked language model gives the candidates of words that are one token,
//! word vectors those of all others. [`Tang`] (Tang et al. 2019, section 3.3): words are masked or
//! replaced by words of the same part of speech, and some sentences are cut to an n-gram.
//! [`Stream`] writes the variants of many rows in order and without duplicates; it can be
//! interrupted and continued.
//!
//! The crate needs no tensors: the masked language model is behind a trait. The randomness of a
//! variant is a function of (seed, row, copy), so that neither threads nor chunks nor an
//! interruption change a file.
//!
//! Differences from the authors' code, which [`Behaviour::Authors`] undoes: the model is not shown
//! the original sentence beside the masked one, and the candidates of a word do not include the
//! word itself; words with punctuation in them and stop words are replaced too; both sentences of a
//! pair are varied from the original row; an n-gram may end with the sentence.
//!
//! ```
//! // The number of variants that TinyBERT's authors make of a sentence of this task.
//! assert_eq!(augment::copies_of("CoLA"), Some(30));
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod candidates;
mod cooccurrence;
mod error;
mod row;
mod speech;
mod stream;
mod tang;
mod tinybert;
mod vectors;
mod words;

pub use candidates::{Candidates, MaskedModel, Query, Sought};
pub use cooccurrence::{TrainVectors, train_vectors};
pub use error::{Error, Result};
pub use row::{Behaviour, TextRow};
pub use speech::{Lexicon, Unigrams};
pub use stream::{Stream, StreamProgress};
pub use tang::Tang;
pub use tinybert::{Tinybert, copies_of};
pub use vectors::Vectors;
