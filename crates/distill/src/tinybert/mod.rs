//! TinyBERT (Jiao et al. 2020).

mod config;
mod loss;
mod model;
mod objective;
#[cfg(test)]
mod tests;
mod traces;

pub use config::{Behaviour, Maps, StudentData, TinybertConfig};
pub use model::TinybertModel;
pub use objective::Tinybert;
