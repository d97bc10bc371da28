//! Learning from a frozen teacher.
//!
//! [`Distilbert`] (Sanh et al. 2019): a student with some of the teacher's layers learns masked
//! language modelling and the teacher's prediction at every token, `L = a T^2 KL(p_teacher ||
//! p_student) + b L_mlm + c (1 - cos(h_student, h_teacher)) + d |z_student - z_teacher|^2`, from
//! the same masked input. [`Tinybert`] (Jiao et al. 2020): a student of any width learns what
//! happens inside the teacher, `L = sum_m MSE(A_m, A_g(m)) + MSE(H_m W_h, H_g(m)) + MSE(E W_e,
//! E_teacher)`, of the scores of attention before their softmax, hidden states, and embeddings; on
//! text (general distillation) or on the sentences of a task. [`Simple`] (Tang et al. 2019): a
//! BiLSTM, a TextCNN or a bag of embeddings learns what a fine-tuned teacher says.
//!
//! The teacher comes in [`objective::Context`] and runs once a batch, in evaluation mode and
//! without gradients.
//!
//! Where we differ from the authors' code, and how to follow it:
//! - DistilBERT's masks prefer rare tokens within each passage, so that a mask does not depend on
//!   the batch; `masking.family = "distilbert"` chooses over the whole batch. Passages are packed
//!   from sentences instead of being lines of a file, so none is dropped for its length. Segments
//!   that the student lacks are 0 for the teacher.
//! - TinyBERT's teacher drops nothing out and padding does not count; `behaviour = "authors"` lets
//!   the teacher drop out, counts padding, in scores and states, and masks a token of each passage.
//!   The paper's two maps to the teacher's width, one for embeddings and one for hidden states, are
//!   the default; the authors' one is `maps = "one"`.
//! - The paper gives no way for students with another number of heads; here each head learns the
//!   mean of those it stands for.
//!
//! ```
//! // The teacher's layers from which a student of four layers starts, of twelve.
//! assert_eq!(distill::spread(12, 4), [0, 4, 7, 11]);
//! ```

mod cosine;
mod distilbert;
mod layers;
#[cfg(test)]
mod reference;
mod simple;
mod teaching;
#[cfg(test)]
mod testing;
mod tinybert;

pub use distilbert::{Distilbert, DistilbertConfig, HeadStart, Positions, Start};
pub use layers::{Mapping, spread};
pub use simple::{Network, Reads, Simple, SimpleConfig, SimpleModel};
pub use tinybert::{Behaviour, Maps, StudentData, Tinybert, TinybertConfig, TinybertModel};
