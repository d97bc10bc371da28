//! `devices`: what backends this build has, and what each finds.

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::json;

use super::output::{print, print_json};
use crate::backend::Backend;

/// Flags of `devices`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs `devices`.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let found = Backend::ALL
        .map(|backend| (backend, backend.open().map(|device| backend.describe(&device))));

    if args.json {
        let entry = |(backend, found): &(Backend, Result<String, _>)| match found {
            Ok(name) => json!({"backend": backend, "usable": true, "device": name}),
            Err(error) => {
                json!({"backend": backend, "usable": false, "reason": format!("{error}")})
            }
        };
        let entries: Vec<_> = found.iter().map(entry).collect();
        return print_json(&json!({ "backends": entries }));
    }

    for (backend, found) in found {
        match found {
            Ok(name) => print(&format!("{backend:<8} yes  {name}"))?,
            Err(error) => print(&format!("{backend:<8} no   {error}"))?,
        }
    }

    Ok(())
}
