//! A Hugging Face folder, read and written.
//!
//! A folder that transformers wrote holds `config.json`, weights (one safetensors file, several, or
//! one that PyTorch pickled) and a tokenizer. [`read`] turns it into a [`HubModel`]: the shape of
//! the encoder, the class of the model ([`Architecture`] of a [`Family`]), and the weights under
//! this project's names and in its layouts. [`write()`] does the reverse. [`read_native`] and
//! [`write_native`] keep such a model in this project's own form, and [`TrainedModel::to_class`]
//! turns a model that was trained here into one.
//!
//! The logits of a model are the same before and after, up to rounding: `tests/parity.rs` and
//! `tests/families.rs` compare them with those of transformers. A model that only transformers or
//! only this project can compute is refused with the name of the field at fault.
//!
//! ```no_run
//! let model = hub::read(std::path::Path::new("bert-base-uncased"))?;
//! println!("{}: {} layers", model.class(), model.config.encoder.layers);
//! # Ok::<(), hub::Error>(())
//! ```

mod config;
mod error;
mod family;
mod fields;
mod model;
mod modernbert;
mod names;
mod native;
mod read;
mod shapes;
mod tensors;
mod tokenizer;
mod trained;
mod wrapper;
mod write;

pub use config::HubConfig;
pub use error::{Error, Result};
pub use family::{Architecture, Family};
pub use model::HubModel;
pub use native::{is_native, read_native, write_native};
pub use read::{is_hub_folder, read};
pub use trained::{ExportedModel, TrainedModel};
pub use write::write;
