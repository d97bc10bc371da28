//! Weights and checkpoints on disk.
//!
//! [`Weights`] are the parameters of a burn module on the host, by the dotted path of their fields.
//! The module [`weights`] collects them from a burn module, loads them into one, and reads and
//! writes safetensors files. The module [`folder`] keeps the checkpoints of a run: each is written
//! under another name, flushed, read back and renamed, so that a kill or a full disk leaves the
//! earlier ones untouched. A manifest of hashes reveals a damaged checkpoint, and the newest good
//! one is found. [`write_aside`] makes the same promise for a single small file.
//!
//! ```
//! let run = tempfile::tempdir().unwrap();
//! let files = [("model.safetensors", vec![1, 2, 3])];
//! checkpoint::folder::write(run.path(), 10, &files, &serde_json::json!({"step": 10})).unwrap();
//! let newest = checkpoint::folder::latest_good(run.path()).unwrap();
//! assert_eq!(newest.checkpoint.unwrap().step, 10);
//! ```

mod aside;
mod error;
pub mod folder;
pub mod weights;

pub use aside::{write_aside, write_json};
pub use error::{Error, Result};
pub use folder::Checkpoint;
pub use weights::{FieldPath, HostTensor, Weights};
