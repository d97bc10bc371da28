//! Pretraining-objective experiments with BERT-like encoders, from one binary.
//!
//! The library behind the command `bert-variants`: everything above the objectives. `cli` parses and calls `train` and
//! `eval`; `config` is what a run is told; `registry` knows the objectives, one line each.

pub mod backend;
pub mod cli;
pub mod config;
pub mod eval;
pub mod exit;
pub mod hub;
pub mod model;
pub mod progress;
pub mod registry;
pub mod signals;
pub mod train;
pub mod workers;
