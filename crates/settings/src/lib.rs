//! TOML tables laid over each other and read into structs.
//!
//! A run is told what to do by defaults, a preset, a file and flags, each laid over the one before:
//! [`Layers`]. The result is read into a struct with serde ([`parse`]), and an error names the key
//! at fault by its whole path, with the nearest known key where it is unknown.
//! [`differing_keys`] tells two tables apart.
//!
//! ```
//! # #[derive(serde::Deserialize)]
//! # #[serde(deny_unknown_fields)]
//! # struct Schedule { warmup: f64 }
//! # #[derive(serde::Deserialize)]
//! # #[serde(deny_unknown_fields)]
//! # struct Config { schedule: Schedule }
//! let mut layers = settings::Layers::default();
//! layers.lay("schedule.warmup = 0.1".parse().unwrap());
//! layers.assign("schedule.warmup=0.06").unwrap();
//! let config: Config = layers.resolve().unwrap();
//! assert_eq!(config.schedule.warmup, 0.06);
//! ```

mod differences;
mod layers;
mod parse;

pub use differences::differing_keys;
pub use layers::Layers;
pub use parse::parse;

/// A key that is unknown, or a value that it cannot have.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);
