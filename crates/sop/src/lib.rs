//! Sentence-order prediction (Lan et al. 2020, section 3.1) and next-sentence prediction (Devlin et
//! al. 2019, section 3.1) beside masked language modelling.
//!
//! A passage is cut in two after one of its sentences: `[CLS] A [SEP] B [SEP]`. For sentence order
//! the segments are swapped with probability 1/2 and the first token's hidden state tells whether
//! they were; for next sentence B is replaced with probability 1/2 by sentences of another
//! document. Both segments are masked as one sequence, by default with ALBERT's n-grams, and `L =
//! L_mlm + L_pair`, each a mean over its own targets of the whole step.
//!
//! Where we differ from the authors' code (`create_pretraining_data.py` of both):
//! - a passage of one sentence is no pair and only its masked tokens count; there it is given a
//!   random second segment and labelled "wrong", in ALBERT too, so that a sixth of "swapped" pairs
//!   are really next-sentence negatives;
//! - a passage ends before the sentence that would overflow it; there that sentence is taken and
//!   the pair is cut;
//! - a true and a false continuation are equally long, whole sentences or cut alike at their end;
//!   there a false one fills the sequence up, also where the true one stopped with its document, so
//!   that length tells something of the answer.
//!
//! These three are undone by `compat = true`, but not that there
//! - what a false continuation leaves unused of the chunk is wound back (here it is met again in
//!   another epoch);
//! - a short length is drawn for a document and not for a passage;
//! - a false continuation that starts near the end of its document stays short (here it starts
//!   earlier);
//! - after ten draws that met the same document it is taken and labelled "wrong" (here nothing is
//!   asked);
//! - a word whose first piece was cut off is masked with the last word of the segment before it.
//!
//! In evaluation every pair is asked both ways, so that chance is exactly 1/2; what would be
//! answered alike is not asked.
//!
//! ```
//! use objective::{Objective, Purpose, fixtures};
//! use sop::{Sop, SopConfig};
//!
//! let objective = Sop::new(SopConfig::default(), &fixtures::context(40, 24)).unwrap();
//! let batch = objective.collate(&fixtures::examples(), Purpose::Training);
//! // Four pairs, each of which has an order to tell.
//! assert_eq!(objective.target_counts(&batch)[1], 4.0);
//! ```

mod batch;
mod config;
mod export;
mod model;

pub use batch::SopBatch;
pub use config::SopConfig;
pub use model::{Sop, SopModel};

#[cfg(test)]
mod tests;
