//! Labelled data for fine-tuning, and the metrics of predictions.
//!
//! A [`Table`] of TSV, CSV or JSON lines holds texts or pairs of texts with [`Labels`] or scores;
//! [`glue`] knows the tables of GLUE (Wang et al. 2019) as they are downloaded. [`tagging`] reads
//! sentences of tagged words, aligns them to tokens, and counts entities as CoNLL-2003 does.
//! [`Squad`] reads questions about paragraphs (Rajpurkar et al. 2016, 2018), [`Windows`] cuts them
//! to the length of an encoder, [`answer`] turns a model's scores of the windows to text, and
//! [`Predictions`] are the files that the official evaluation reads. [`metrics`] are GLUE's and
//! SQuAD's.
//!
//! The crate needs no tensors: models see token ids and return numbers.
//!
//! Where we differ from the authors' code: answers are cut out of the context by the positions of
//! their tokens instead of being matched again after tokenisation; all pairs of a beginning and an
//! end are compared, not those of the 20 best of each; an answer that is not at the position in
//! SQuAD's file is searched nearby instead of being left out; a question without a prediction
//! scores 0 in SQuAD 2.0 as in 1.1.
//!
//! ```
//! use tasks::metrics::{exact_match, macro_f1};
//! assert_eq!(exact_match("The river", "river!"), 1.0);
//! assert_eq!(macro_f1(&[0, 1, 1], &[0, 1, 1]), 1.0);
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod answers;
mod error;
pub mod glue;
mod json_objects;
mod labels;
mod layout;
pub mod metrics;
mod predictions;
mod squad;
mod table;
pub mod tagging;
#[cfg(test)]
mod testing;
mod text;
mod windows;

pub use answers::{AnswerConfig, Candidate, NoAnswer, Prediction, Scored, answer};
pub use error::{Error, Result};
pub use labels::Labels;
pub use layout::{Joined, Layout};
pub use predictions::Predictions;
pub use squad::{Answer, Misplaced, Paragraph, Question, Squad};
pub use table::{Columns, Header, Label, LabelKind, MissingLabel, Ragged, Table, TableRow};
pub use text::read_text;
pub use windows::{AnswerContext, Window, WindowConfig, Windows};
