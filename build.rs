//! Has the linker keep functions of the same machine code, of which generic code makes many, once:
//! 4 MB of 63.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");

    // The compiler brings a linker for this target that can do so. One that was asked for instead
    // perhaps cannot.
    let asked = |flags: String| flags.contains("linker") || flags.contains("fuse-ld");
    let another = env::var_os("RUSTC_LINKER").is_some()
        || env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(asked);
    if env::var("TARGET").is_ok_and(|target| target == "x86_64-unknown-linux-gnu") && !another {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
