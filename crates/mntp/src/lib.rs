//! Masked next-token prediction (Charpentier and Samuel 2024, "GPT or BERT: why not both?"; the
//! shift of Lv et al. 2023, "LLM2Vec").
//!
//! Most sequences are masked as in masked language modelling, but a masked token is predicted by
//! the hidden state of the position before it. The others are read causally, nothing hidden, and
//! every position predicts the next token. Both use the same encoder and the same head, so that the
//! model is a masked and a causal one: `L = (1 - s) L_masked + s L_causal` with the share s of
//! causal sequences, each a mean over its own targets of the whole step.
//!
//! Where we differ from the authors' code: the way each sequence is read is drawn for it, and not
//! for each of 16 devices; the share may change over the budget.
//!
//! In evaluation every passage is read in both ways.
//!
//! ```
//! use mntp::{Mntp, MntpConfig};
//! use objective::{Objective, Purpose, fixtures};
//!
//! let objective = Mntp::new(MntpConfig::default(), &fixtures::context(40, 24)).unwrap();
//! let examples = fixtures::examples();
//! let batch = objective.collate(&examples, Purpose::Evaluation);
//! // Every token after the first of each sequence is predicted causally.
//! let tokens: usize = batch.mlm.sequences.lengths[examples.len()..].iter().sum();
//! assert_eq!(objective.target_counts(&batch)[1], (tokens - examples.len()) as f64);
//! ```

mod batch;
mod config;
mod model;

pub use batch::MntpBatch;
pub use config::MntpConfig;
pub use model::Mntp;

#[cfg(test)]
mod tests;
