//! The command `bert-variants`: parse, run, print the chain of causes, exit code.

use std::process::ExitCode;

use bert_variants::{cli, exit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_memory();
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                anstream::eprintln!("  because: {cause}");
            }
            exit::code(&error)
        }
    }
}

/// Tells the allocator to keep what is freed: every training step asks for the same buffers again, and the system would
/// have to clear them each time (5 % of a step of the small preset).
#[allow(unsafe_code, reason = "the allocator's options are set through its C interface")]
fn keep_memory() {
    /// `mi_option_purge_delay` of mimalloc.h, version 2; the Rust declarations leave it out.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    const NEVER: std::ffi::c_long = -1;
    // SAFETY: sets a number; called before any other thread exists.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER) }
}
