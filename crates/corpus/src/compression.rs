//! Compressed files, which their first bytes tell, or else their names.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;

use crate::error::{Error, Result};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

/// The endings of names and the first bytes of compressed files.
const KNOWN: [(&str, &[u8], Compression); 4] = [
    (".gz", b"\x1f\x8b", Compression::Gzip),
    (".zst", b"\x28\xb5\x2f\xfd", Compression::Zstd),
    (".bz2", b"BZh", Compression::Bzip2),
    (".xz", b"\xfd7zXZ\0", Compression::Xz),
];

/// The endings of compressed files, `.gz` first.
pub fn endings() -> impl Iterator<Item = &'static str> {
    KNOWN.into_iter().map(|(ending, _, _)| ending)
}

/// A name without the ending of a compression, and that compression.
pub fn of_name(name: &str) -> (&str, Compression) {
    let stem = |(ending, _, compression): (&str, &[u8], Compression)| {
        Some((name.strip_suffix(ending)?, compression))
    };
    KNOWN.into_iter().find_map(stem).unwrap_or((name, Compression::None))
}

/// The compression of a file that begins with `head`.
pub fn of_content(head: &[u8]) -> Compression {
    let found = KNOWN.into_iter().find(|(_, magic, _)| head.starts_with(magic));
    found.map_or(Compression::None, |(_, _, compression)| compression)
}

/// The decompressed bytes of `file`, which lies in `path`. A file of several compressed streams, one
/// after the other, gives the bytes of all.
///
/// # Errors
/// When the decoder cannot be made.
pub fn decompressed<R: Read + Send + 'static>(
    file: R,
    path: &Path,
    compression: Compression,
) -> Result<Box<dyn BufRead + Send>> {
    let file = BufReader::with_capacity(1 << 16, file);
    Ok(match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        Compression::Zstd => {
            let decoder = zstd::Decoder::with_buffer(file).map_err(Error::io("read", path))?;
            Box::new(BufReader::new(decoder))
        }
        Compression::Bzip2 => Box::new(BufReader::new(MultiBzDecoder::new(file))),
        Compression::Xz => Box::new(BufReader::new(XzReader::new(file, true))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_first_bytes_tell_the_compression() {
        assert_eq!(of_name("a.txt.bz2"), ("a.txt", Compression::Bzip2));
        assert_eq!(of_name("a.txt"), ("a.txt", Compression::None));
        assert_eq!(of_content(b"\xfd7zXZ\0\0\x04"), Compression::Xz);
        assert_eq!(of_content(b"BZip"), Compression::None);
        assert_eq!(of_content(b""), Compression::None);
    }
}
