//! `completions`.

use anyhow::Result;
use clap::{Args as ClapArgs, CommandFactory};
use clap_complete::Shell;

use super::{Cli, print};

/// Flags of `completions`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

/// Runs `completions`.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "bert-variants", &mut script);
    print(&String::from_utf8_lossy(&script))
}
