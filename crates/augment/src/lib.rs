//! More sentences out of few: what a student learns a task from besides the labelled ones.
//!
//! [`Tinybert`] (Jiao et al. 2020, algorithm 1): every word is replaced with some probability by
//! one of its candidates, which a masked language model gives for words that are one token and the
//! nearest word vectors for all others. [`Tang`] (Tang et al. 2019, section 3.3): words are masked
//! or replaced by words of the same part of speech, and some sentences are cut to an n-gram.
//! [`Stream`] writes the variants of many rows in order and none twice; it can be interrupted and
//! continued.
//!
//! Knows nothing of tensors: the masked language model stands behind a trait. What is random about
//! a variant is a function of (seed, row, copy), so that neither threads nor chunks nor an
//! interruption change a file.
//!
//! Where it differs from the authors' code by default, and [`Behaviour::Authors`] follows it: a
//! masked word's candidates are sought without the original sentence beside it, and do not hold the
//! word itself; words with punctuation in them and stop words are replaced too; both sentences of a
//! pair are varied from the original row; an n-gram may end with the sentence.

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
