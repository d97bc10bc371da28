//! Sentence-order prediction (Lan et al. 2020, section 3.1) and next-sentence prediction (Devlin et al. 2019, section 3.1)
//! beside masked language modelling.
//!
//! A passage is cut in two after one of its sentences: `[CLS] A [SEP] B [SEP]`. For sentence order the segments are
//! swapped with probability 1/2 and the first token's hidden state tells whether they were; for next sentence B is
//! replaced with probability 1/2 by sentences of another document. Both segments are masked as one sequence, by default
//! with ALBERT's n-grams, and `L = L_mlm + L_pair`, each a mean over its own targets of the whole step.
//!
//! Where we differ from the authors' code: a passage of one sentence is no pair and only its masked tokens count (there it
//! is given a random second segment and labelled "wrong", in ALBERT too, so that a sixth of "swapped" pairs are really
//! next-sentence negatives); a random segment is about as long as the one that it replaces (there it fills the sequence
//! up); what a replaced segment leaves unused is met again in another epoch (there the chunk is wound back). The first two
//! are undone by `compat = true`. In evaluation every pair is asked both ways, so that chance is exactly 1/2.

mod batch;
mod config;
mod model;

pub use batch::SopBatch;
pub use config::SopConfig;
pub use model::{Sop, SopModel};

#[cfg(test)]
mod tests;
