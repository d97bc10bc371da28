//! Pretraining-objective experiments with BERT-like encoders, from one binary.
//!
//! The library behind the command `bert-variants`: everything above the objectives. `cli` parses
//! and calls `train` and `eval`; `config` is what a run is told; `registry` knows the objectives,
//! one line each.

pub mod backend;
pub mod cli;
pub mod config;
pub mod eval;
pub mod exit;
pub mod finetune;
pub mod hub;
pub mod model;
pub mod progress;
pub mod registry;
pub mod report;
pub mod signals;
pub mod teacher;
pub mod train;
pub mod workers;

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
