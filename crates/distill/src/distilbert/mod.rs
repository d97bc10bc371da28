//! DistilBERT (Sanh et al. 2019).

mod config;
mod objective;
#[cfg(test)]
mod tests;

pub use config::{DistilbertConfig, HeadStart, Positions, Start};
pub use objective::Distilbert;
