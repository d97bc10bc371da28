//! The text of a file, as every reader of this crate takes it.

use std::path::Path;

use crate::error::{Error, Result, read, utf8};

/// Reads a file of UTF-8 text. A byte order mark is taken off, and a file whose lines end in
/// carriage returns alone is given line feeds.
///
/// # Errors
/// When the file cannot be read or has another encoding; the message names the file and the line.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = read(path)?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Error::data(format!(
            "{}: it is UTF-16; convert it, such as with `iconv -f UTF-16 -t UTF-8`",
            path.display()
        )));
    }

    let text = utf8(&bytes, path, 1)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let only_returns = text.contains('\r') && !text.contains('\n');
    Ok(if only_returns { text.replace('\r', "\n") } else { text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        std::fs::write(&path, bytes).unwrap();
        read_text(&path)
    }

    #[test]
    fn a_byte_order_mark_and_lone_carriage_returns_are_of_the_encoding_not_of_the_text() {
        assert_eq!(text(b"\xef\xbb\xbfa\r\nb\n").unwrap(), "a\r\nb\n");
        assert_eq!(text(b"a\rb\r").unwrap(), "a\nb\n");
    }

    #[test]
    fn another_encoding_is_named() {
        for utf16 in [b"\xff\xfea\0", b"\xfe\xff\0a"] {
            let message = text(utf16).unwrap_err().to_string();
            assert!(message.contains("it is UTF-16; convert it"), "{message}");
        }
        assert!(text(b"a\nb\xe9").unwrap_err().to_string().contains(":2: not UTF-8"));
    }
}
