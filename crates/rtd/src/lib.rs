//! Replaced-token detection (ELECTRA; Clark et al. 2020).
//!
//! A small generator is trained by masked language modelling; a token sampled from it is written at
//! every chosen position, and the discriminator, which is the encoder that is kept, tells for every
//! token of the sequence whether it was replaced: `L = L_mlm(generator) + 50 L_disc`, `L_disc` the
//! mean binary cross-entropy over all tokens (section 2). A sample that equals the original counts
//! as original. Generator and discriminator share token, position and segment tables and the norm
//! after them; no gradient passes through the samples.
//!
//! [`Variant`] has the ablations of the paper's table 5, which its code lacks: ELECTRA 15 %,
//! Replace MLM, and All-Tokens MLM with its copy gate, `p(x_i) = D_i [x_i is the input] + (1 - D_i)
//! softmax_i`. The two-stage variant of section 3.2 is a run of plain masked language modelling
//! from which a second run is initialised, generator and discriminator, with `generator.frozen =
//! true`, `generator.tying = "none"` and `generator.size = 1.0`.
//!
//! `generator.tying = "disentangled"` is DeBERTaV3's sharing of tables, `E = sg(G) + D` (He et al.
//! 2021, section 3.2), in one step for both networks (there one each).
//!
//! Where we differ from the authors' code: the sequence is one packed passage (there two segments
//! without a question); positions are drawn without replacement, so that no position holds two
//! samples (there about 7 % of the positions do, and get the average of two ids, an unrelated
//! token; `compat = true` does that, and lets a uniform generator write special tokens, as there);
//! padding never counts, in the loss as there, and in the area under the curve, which there it
//! inflates; all weights are drawn from the same truncated normal distribution (there the last
//! layer of the discriminator and the projections are Glorot's).
//!
//! ```
//! use objective::{Context, Objective, Purpose, fixtures};
//! use rtd::{Rtd, RtdConfig};
//!
//! let context = Context { encoder: fixtures::encoder(), ..fixtures::context(40, 24) };
//! let objective = Rtd::new(RtdConfig::default(), &context).unwrap();
//! let batch = objective.collate(&fixtures::examples(), Purpose::Training);
//! let [masked, all] = objective.target_counts(&batch).try_into().unwrap();
//! // The generator predicts the masked tokens, the discriminator judges all of them.
//! assert!(masked < 0.25 * all);
//! ```

mod all_tokens_mlm;
mod batch;
mod config;
mod detect;
mod discriminator;
mod disentangled;
mod export;
mod generator;
mod model;
mod objective;
mod pass;
mod replace_mlm;

pub use batch::RtdBatch;
pub use config::{GeneratorConfig, GeneratorKind, RtdConfig, Tying, Variant};
pub use discriminator::{RtdHead, binary_cross_entropy};
pub use generator::Generator;
pub use model::{CopyHeads, RtdModel, VariantHead};
pub use objective::Rtd;

#[cfg(test)]
mod tests;
