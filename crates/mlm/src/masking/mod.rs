//! Choosing tokens to predict and what stands in their place, by the rules of every published
//! masker.

mod budget;
mod config;
mod draw;
mod error;
mod knobs;
mod masker;
mod replace;
mod units;
mod validate;
mod vocabulary;

pub use config::Masking;
pub(crate) use draw::Cumulative;
pub use error::MaskingError;
pub use knobs::{
    Budget, BudgetOf, Cap, DrawPer, Eligible, Family, RandomTokens, RateSchedule, Scope, Unit,
};
pub use masker::{MaskInput, Masked, Masker};
pub use replace::{Replacement, Target};
pub use vocabulary::Vocabulary;

#[cfg(test)]
mod tests;
