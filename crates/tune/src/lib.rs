//! Fine-tuning (Devlin et al. 2019, section 4): an encoder and a small head learn labelled data.
//!
//! A sentence or a pair gets a class (`-log p(y | h_1)`) or a score (`(s - y)^2`) from the first
//! token's hidden state `h_1`; a token gets a tag from its own; an answer in a context gets its
//! first and last token, `(-log p(start) - log p(end)) / 2`, each a softmax over the sequence.
//! [`HeadStyle`] has the heads of the papers as transformers builds them.
//!
//! Beside the labels or instead of them, a class or a score can be learnt from what a teacher says
//! ([`AdviceConfig`]): `(1 - a) L_labels + a L_teacher`. [`Task`] has all of this but the network,
//! for students that are no encoders.
//!
//! An example's passage is a whole sequence, special tokens included, with one sentence a segment;
//! its label is `objective::Example::answer`.
//!
//! Where we differ from transformers: the softmax over an answer's ends runs over the tokens of the
//! sequence, not over the padding of the batch it happens to be in, so that padding changes
//! nothing.

mod advice;
mod batch;
mod config;
mod head;
mod kind;
mod objective;
mod task;

pub use advice::{AdviceConfig, Measure, OverClasses};
pub use batch::{Answers, TuneBatch, collate};
pub use config::{HeadStyle, TuneConfig};
pub use head::TaskHead;
pub use kind::Kind;
pub use objective::{Tune, TuneModel};
pub use task::{Pass, Task, largest};

#[cfg(test)]
mod tests;
