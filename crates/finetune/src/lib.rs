//! Fine-tuning (Devlin et al. 2019, section 4): an encoder and a small head learn labelled data.
//!
//! A sentence or a pair gets a class (`-log p(y | h_1)`) or a score (`(s - y)^2`) from the first
//! token's hidden state `h_1`; a token gets a tag from its own; an answer in a context gets its
//! first and last token, `(-log p(start) - log p(end)) / 2`, each a softmax over the sequence.
//! [`HeadStyle`] has the heads of the papers as transformers builds them.
//!
//! Beside the labels or instead of them, a class or a score can be learnt from a teacher's outputs
//! ([`DistillationConfig`]): `(1 - a) L_labels + a L_teacher`. [`Task`] is all of this without the
//! network, for students that are no encoders.
//!
//! [`TaskData`] reads labelled files into sequences as [`DataConfig`] says. An example's passage is
//! a whole sequence, special tokens included, with one sentence a segment; its label is
//! `objective::Example::label`.
//!
//! Where we differ from transformers: the softmax over an answer's ends runs over the tokens of the
//! sequence and not over the padding of its batch, so that padding changes nothing.
//!
//! ```
//! // The class that is predicted from an example's logits.
//! assert_eq!(finetune::largest(&[-1.0, 2.5, 0.3]), 1);
//! ```

mod batch;
mod config;
mod data;
mod data_config;
mod distillation;
mod encode;
mod export;
mod head;
mod kind;
mod metrics;
mod objective;
mod reader;
mod split;
mod task;

pub use batch::{TaskBatch, TaskLabels, collate};
pub use config::{FinetuneConfig, HeadStyle, Pooling};
pub use data::{TaskData, read_lines, read_split};
pub use data_config::DataConfig;
pub use distillation::{Comparison, DistillationConfig, OverClasses};
pub use encode::TextEncoder;
pub use head::TaskHead;
pub use kind::TaskKind;
pub use metrics::largest;
pub use objective::{Finetune, FinetuneModel};
pub use split::{Gold, RowText, Split};
pub use task::{Pass, Task};

#[cfg(test)]
mod tests;
