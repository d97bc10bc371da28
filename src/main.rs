//! The command `bert-variants`: parse, run, print the chain of causes, exit code.

use std::process::ExitCode;

use bert_variants::{cli, exit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bert_variants::keep_memory();
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
