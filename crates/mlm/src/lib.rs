//! Masked language modelling (Devlin et al. 2019, section 3.1; Liu et al. 2019, section 4.1).
//!
//! A share of the tokens is chosen; most of them are replaced by the mask token, some by a random
//! token, some are left. The encoder sees the result and predicts the original at the chosen
//! positions: `L = - sum_{i in M} log p(x_i | x_masked) / |M|`, with M taken over the whole step,
//! so that accumulated micro-batches give the gradient of one big batch.
//!
//! [`Masking`] has one knob for everything in which the published maskers differ, and a `family`
//! that sets all of them as BERT, RoBERTa, ALBERT, DistilBERT, SpanBERT or Hugging Face's collator
//! do. Masks are drawn anew each epoch from (seed, epoch, passage) unless `duplicates` asks for
//! BERT's static masking.
//!
//! Where we differ from the authors: the head runs only at the predicted positions; the loss is
//! divided by the number of targets of the whole step, without BERT's 1e-5; evaluation masks are
//! one fixed draw of `evaluation` (15 % of single tokens as in BERT, unless told otherwise), so
//! that runs with different training masks can be compared; a separator stands between documents,
//! if one is asked for, and not after every line as fairseq's data have it; annotated spans take
//! turns with single words as in SpanBERT's paper, and not with geometric spans as in its code.
//!
//! ```
//! use mlm::{Mlm, MlmConfig};
//! use objective::{Objective, Purpose, fixtures};
//!
//! let objective = Mlm::new(MlmConfig::default(), &fixtures::context(40, 24)).unwrap();
//! let batch = objective.collate(&fixtures::examples(), Purpose::Training);
//! assert_eq!(batch.positions.len(), batch.labels.len());
//! assert_eq!(objective.target_counts(&batch), [batch.labels.len() as f64]);
//! ```

mod batch;
mod config;
mod layout;
mod loss;
mod masking;
mod model;
mod pair_loss;
mod pairs;

pub use batch::{Maskers, MlmBatch};
pub use config::MlmConfig;
pub use layout::{DocumentEdges, Laid, Segment};
pub use loss::{MetricNames, MlmLoss, NAMES, predicted};
pub use masking::*;
pub use model::{Mlm, MlmModel};
pub use pair_loss::{PairNames, first_tokens, pair_loss};
pub use pairs::{LaidPairs, PairLabels, Pairing};
