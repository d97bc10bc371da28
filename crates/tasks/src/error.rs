//! What can go wrong between files of labelled data and numbers.

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong between files of labelled data and numbers.
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
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
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

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Reads a file whole.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// The text of some bytes that begin on a line of a file.
pub(crate) fn utf8<'a>(bytes: &'a [u8], path: &Path, line: usize) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let line = line + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        let byte = bytes[at];
        Error::line(
            path,
            line,
            format!(
                "not UTF-8 (byte 0x{byte:02x}); convert the file, such as with `iconv -t UTF-8`"
            ),
        )
    })
}
