//! Evaluation: held-out loss, pseudo-log-likelihood, BLiMP, what a model costs.

pub mod blimp;
mod detection;
pub mod fill;
pub mod loss;
pub mod pll;
pub mod subject;
