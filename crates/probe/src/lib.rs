//! Linear probes: what a frozen encoder's hidden states tell about a sentence.
//!
//! A logistic regression reads the mean of a layer's hidden states over the tokens of a text, of
//! each of two texts where there are two, and answers a question about it. What it gets right
//! beyond an encoder with random weights is what pretraining has put there (Conneau et al. 2018).
//! The questions of [`Question`] are made from any text without labels; [`Probe`] takes any
//! labelled rows.
//!
//! Where we differ from Conneau et al.: each question has as many examples of each class, in
//! training and in test; texts of the two are of different paragraphs; sentence order and the
//! foreign sentence, which are ours, hold no cue in the lengths of sentences.

mod examples;
mod logistic;
mod pool;
mod probing;
mod questions;
mod sentences;

pub use examples::{ProbeExample, ProbeSet};
pub use logistic::{Classifier, LogisticConfig};
pub use pool::{MeanStates, mean_states};
pub use probing::{LayerScore, Probe, ProbeRows};
pub use questions::Question;
pub use sentences::{Document, Sentence, SentencePool};

/// Why there is nothing to probe.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);
