//! Choosing tokens to predict and what stands in their place, by the rules of every published
//! masker.

mod budget;
mod config;
mod draw;
mod knobs;
mod masker;
mod replace;
mod units;
mod validate;

pub use config::Masking;
pub(crate) use draw::Cumulative;
pub use knobs::{Budget, BudgetOf, Cap, DrawPer, Eligible, Family, RandomTokens, Scope, Unit};
pub use masker::{Masked, Masker, Row, Target, Vocabulary};
pub use replace::Replacement;
pub use validate::MaskingError;

#[cfg(test)]
mod tests;
