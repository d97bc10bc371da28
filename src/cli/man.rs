//! `man`.

use anyhow::Result;
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, print};

/// Runs `man`: the page of the command, then one section for each subcommand.
///
/// # Errors
/// When stdout cannot be written.
pub fn run() -> Result<()> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    sections(&command, "bert-variants", &mut page)?;
    print(&String::from_utf8_lossy(&page))
}

/// Sections of the subcommands of `command`, which is called `name`.
fn sections(command: &Command, name: &str, page: &mut Vec<u8>) -> Result<()> {
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let name = format!("{name} {}", subcommand.get_name());
        let man = Man::new(subcommand.clone());
        page.extend(format!(".SH {}\n", name.to_uppercase()).into_bytes());
        man.render_description_section(page)?;
        man.render_options_section(page)?;
        sections(subcommand, &name, page)?;
    }
    Ok(())
}
