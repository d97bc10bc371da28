//! Small files that are written completely or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};

/// Writes a small file under another name, flushes and renames it, so that it is never seen half
/// written.
///
/// # Errors
/// When the disk is full or the folder cannot be written.
pub fn write_aside(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let aside = path.with_file_name(name);

    let write = || -> std::io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(Error::io(format!("cannot write {}", path.display())))
}

/// Writes `value` as indented JSON with [`write_aside`].
///
/// # Errors
/// As [`write_aside`], and when `value` has no JSON form, such as a map whose keys are not strings.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::Data(format!("{}: {error}", path.display())))?;
    write_aside(path, (text + "\n").as_bytes())
}
