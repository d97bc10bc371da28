//! `man`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args as ClapArgs, Command};
use clap_mangen::Man;

use super::output::print;

/// Flags of `man`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Write a page for each command into this folder, as `man bert-variants-pretrain` finds them,
    /// instead of printing one.
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Runs `man` for `command`: one page with a section for each subcommand on stdout, or a page for
/// each subcommand into a folder.
///
/// # Errors
/// When stdout or the folder cannot be written.
pub fn run(args: &Args, mut command: Command) -> Result<()> {
    if let Some(folder) = &args.to {
        let context = || format!("cannot write the manual pages to {}", folder.display());
        fs::create_dir_all(folder).with_context(context)?;
        return clap_mangen::generate_to(command, folder).with_context(context);
    }

    command.build();
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    sections(&command, "bert-variants", &mut page)?;
    print(&String::from_utf8_lossy(&page))
}

/// Sections of the subcommands of `command`, which is called `name`.
fn sections(command: &Command, name: &str, page: &mut Vec<u8>) -> Result<()> {
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help")
    {
        let name = format!("{name} {}", subcommand.get_name());
        let man = Man::new(subcommand.clone());
        page.extend(format!(".SH {}\n", name.to_uppercase()).into_bytes());
        man.render_description_section(page)?;
        man.render_options_section(page)?;
        sections(subcommand, &name, page)?;
    }
    Ok(())
}
