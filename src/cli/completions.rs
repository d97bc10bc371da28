//! `completions`.

use anyhow::Result;
use clap::{Args as ClapArgs, Command};
use clap_complete::Shell;

use super::output::print;

/// Flags of `completions`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

/// Runs `completions` for `command`.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &Args, mut command: Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "bert-variants", &mut script);
    print(&String::from_utf8_lossy(&script))
}
