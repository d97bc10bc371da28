//! Pretraining-objective experiments with BERT-like encoders, from one binary.
//!
//! The library behind the command `bert-variants`: what joins the crates for a user. [`cli`] turns
//! flags into calls and prints what comes back; [`config`] is everything a run is told; [`run`]
//! trains in a run's folder; [`model`] finds and loads what a folder holds; [`registry`] knows the
//! objectives, one line each. Everything below has a crate of its own: the text (`corpus`),
//! labelled data (`tasks`), the encoder (`kernels`, `trunk`), the contract of an objective
//! (`objective`) and the objectives, the training loop (`train`), evaluation (`eval`), Hugging Face
//! folders (`hub`), weights on disk (`checkpoint`), and comparisons (`report`).
//!
//! ```no_run
//! use bert_variants::{model, registry};
//! use burn::tensor::Device;
//!
//! let source = model::find(std::path::Path::new("runs/demo"))?;
//! let loaded = (registry::of_model(&source)?.load)(&source, &Device::flex())?;
//! let text = "The [MASK] opened the door.";
//! let masks = eval::fill_mask::fill_mask(loaded.model.as_ref(), text, 3)?;
//! println!("{:?}", masks[0]);
//! # Ok::<(), anyhow::Error>(())
//! ```

pub mod backend;
pub mod cli;
pub mod config;
pub mod exit;
pub mod model;
pub mod progress;
pub mod registry;
pub mod run;
pub mod signals;

/// Tells the allocator to keep what is freed: every training step asks for the same buffers again,
/// and the system would have to clear them each time (5 % of a step of the small preset).
#[allow(unsafe_code, reason = "the allocator's options are set through its C interface")]
pub fn keep_memory() {
    /// `mi_option_purge_delay` of mimalloc.h, version 2; the Rust declarations leave it out.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    const NEVER: std::ffi::c_long = -1;
    // SAFETY: sets a number; called by `main` before any other thread exists.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER) }
}
