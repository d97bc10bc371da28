//! The Cargo features with which the program builds the dependencies that its crates share.
//!
//! Cargo compiles a dependency with the features that the selected packages ask for. `cargo test -p
//! mlm` selects fewer packages than `cargo build --release`, so burn and most of what it stands on
//! would be compiled once more. A development dependency on this crate adds the missing features;
//! the crate holds no code. `tests/layering.rs` compares the features of each crate with those of
//! the program.
