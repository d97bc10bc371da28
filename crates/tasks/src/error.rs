//! The errors of this crate.

use std::io;
use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or a setting is at fault; the message names it and says what to write instead.
    #[error("{0}")]
    Data(String),
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self::Data(message.into())
    }

    /// A fault in a line of a file; lines count from 1.
    pub(crate) fn line(path: &Path, line: usize, message: impl AsRef<str>) -> Self {
        Self::Data(format!("{}:{line}: {}", path.display(), message.as_ref()))
    }
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// The text of bytes that begin on line `line` of a file.
pub(crate) fn utf8<'a>(bytes: &'a [u8], path: &Path, line: usize) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let line = line + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        let message = format!(
            "not UTF-8 (byte 0x{:02x}); convert the file, such as with `iconv -t UTF-8`",
            bytes[at]
        );
        Error::line(path, line, message)
    })
}
