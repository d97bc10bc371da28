//! Evaluation: held-out loss, pseudo-log-likelihood, BLiMP.

pub mod blimp;
mod detection;
pub mod loss;
pub mod pll;
