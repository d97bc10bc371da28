//! TOML tables laid over each other and read into structs.
//!
//! The settings of a run come from defaults, a preset, a file and flags, each laid over the one
//! before ([`Layers`]). The result is read into a struct with serde ([`parse`]); an error names the
//! key at fault by its whole path and, if the key is unknown, the nearest known one.
//! [`differing_keys`] lists the keys in which two tables differ.
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

/// An unknown key or an invalid value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);
