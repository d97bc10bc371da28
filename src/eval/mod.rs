//! Evaluation: held-out loss, pseudo-log-likelihood, BLiMP.

pub mod blimp;
pub mod loss;
pub mod pll;
