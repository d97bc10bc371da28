//! Simple networks that learn a task from a teacher (Tang et al. 2019).

mod bilstm;
mod config;
mod objective;
#[cfg(test)]
mod tests;
mod textcnn;

pub use config::{Network, Reads, SimpleConfig};
pub use objective::{Simple, SimpleModel};
