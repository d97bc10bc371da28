//! What kind of text a file holds, by its name and its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use crate::compression::{self, Compression, decompressed};
use crate::error::{Error, Result};

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// One paragraph per line.
    Plain,
    /// One JSON object per line, each a document.
    JsonLines,
    /// A table with one document per row, its fields separated by commas, or by semicolons or tabs
    /// if the text's column is found so.
    Csv,
    /// A table with one document per row, its fields separated by tabs; quotes are characters.
    Tsv,
    /// A Parquet table with one document per row.
    Parquet,
}

/// The endings of names that are known.
pub const KNOWN: &str =
    ".txt, .jsonl, .ndjson, .json, .csv, .tsv (each also with .gz, .zst, .bz2 or .xz) and .parquet";

/// First bytes, decompressed, at which a file is looked.
const HEAD: usize = 1 << 16;

/// Kinds of files that hold no plain text, by their first bytes or the bytes at an offset, and what
/// to do with them.
const FOREIGN: [(usize, &[u8], &str, &str); 11] = [
    (0, b"PK\x03\x04", "a zip archive or an office document", "unpack it, or save it as text"),
    (0, b"%PDF", "a PDF", "extract its text, such as with `pdftotext`"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (0, b"Rar!", "a rar archive", "unpack it"),
    (257, b"ustar", "a tar archive", "unpack it and give the folder"),
    (0, b"ARROW1", "an Arrow file", "write it as Parquet, such as with `datasets`' `to_parquet`"),
    (0, b"SQLite format 3", "a database", "export its text"),
    (0, b"\x04\x22\x4d\x18", "compressed with lz4", "decompress it, such as with `lz4 -d`"),
    (0, b"\x1f\x9d", "compressed with compress", "decompress it, such as with `uncompress`"),
    (0, b"\xff\xfe", "UTF-16", "convert it, such as with `iconv -f UTF-16 -t UTF-8`"),
    (0, b"\xfe\xff", "UTF-16", "convert it, such as with `iconv -f UTF-16 -t UTF-8`"),
];

/// Format and compression by the name; none if the name is not of a text file.
pub fn of_name(path: &Path) -> Option<FileFormat> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let (stem, compression) = compression::of_name(&name);
    match stem.rsplit_once('.').map(|(_, ending)| ending) {
        Some("txt") => Some(FileFormat::Plain),
        Some("jsonl" | "ndjson" | "json") => Some(FileFormat::JsonLines),
        Some("csv") => Some(FileFormat::Csv),
        Some("tsv") => Some(FileFormat::Tsv),
        Some("parquet") if compression == Compression::None => Some(FileFormat::Parquet),
        // Without another ending, a compressed file is taken for plain text.
        None if compression != Compression::None => Some(FileFormat::Plain),
        _ => None,
    }
}

/// Format and compression of a file. The first bytes tell the compression, or else the name; the
/// name tells the format, or else the first bytes: JSON lines if the first line is an object, and
/// plain text if nothing else is recognised.
///
/// # Errors
/// When the file cannot be opened, or is of a kind that holds no text; the message names the kind
/// and what to do.
pub fn of_file(path: &Path) -> Result<(FileFormat, Compression)> {
    let head = head(path, Compression::None)?;
    let named = compression::of_name(&path.to_string_lossy().to_lowercase()).1;
    let compression = match compression::of_content(&head) {
        Compression::None => named,
        found => found,
    };

    let format = of_name(path);
    if format == Some(FileFormat::Parquet) {
        return Ok((FileFormat::Parquet, Compression::None));
    }
    let head = if compression == Compression::None {
        head
    } else {
        // A file that cannot be decompressed is refused when it is read.
        self::head(path, compression).unwrap_or_default()
    };
    if format.is_none() && head.starts_with(b"PAR1") {
        return parquet(path, compression);
    }
    refuse_foreign(path, &head)?;
    Ok((format.unwrap_or_else(|| of_content(&head)), compression))
}

/// The first bytes of a file.
fn head(path: &Path, compression: Compression) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut head = Vec::new();
    let reader = decompressed(file, path, compression)?;
    reader.take(HEAD as u64).read_to_end(&mut head).map_err(Error::io("read", path))?;
    Ok(head)
}

/// Refuses a file that holds no text.
fn refuse_foreign(path: &Path, head: &[u8]) -> Result<()> {
    let refuse = |what: &str, remedy: &str| {
        Err(Error::data(format!("{} is {what}, not text; {remedy}", path.display())))
    };
    let is_of = |(offset, magic, _, _): &(usize, &[u8], &str, &str)| {
        head.get(*offset..).is_some_and(|bytes| bytes.starts_with(magic))
    };
    if let Some((_, _, what, remedy)) = FOREIGN.into_iter().find(is_of) {
        return refuse(what, remedy);
    }

    // Text may hold a stray NUL; UTF-16 without a mark has them in every second place.
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    if 10 * zeros > head.len() {
        let remedy = "if it is UTF-16, convert it, such as with `iconv -f UTF-16LE -t UTF-8`";
        return refuse("binary or UTF-16", remedy);
    }
    Ok(())
}

/// A Parquet file, which is read in parts and so must not be compressed as a whole.
fn parquet(path: &Path, compression: Compression) -> Result<(FileFormat, Compression)> {
    match compression {
        Compression::None => Ok((FileFormat::Parquet, compression)),
        _ => Err(Error::data(format!(
            "{} is a compressed Parquet file, which cannot be read in part; decompress it",
            path.display()
        ))),
    }
}

/// The format of a text whose name does not tell, by its first bytes.
fn of_content(head: &[u8]) -> FileFormat {
    let first = head.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_object = serde_json::from_slice::<Map<String, Value>>(first).is_ok();
    if is_object { FileFormat::JsonLines } else { FileFormat::Plain }
}
