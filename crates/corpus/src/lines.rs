//! Lines of UTF-8 text of bounded length.

use std::io::{BufRead, ErrorKind};
use std::path::Path;

use crate::compression::Compression;
use crate::error::{Error, Result};

/// A line, or a piece of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Without the line break.
    pub text: String,
    /// False for a piece that is followed by the rest of its line.
    pub complete: bool,
}

/// What is done with a line that is longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongLine {
    /// It is cut at white space.
    Cut,
    /// It is an error.
    Refuse,
}

/// Reads lines of at most a given length.
pub struct Lines {
    reader: Box<dyn BufRead + Send>,
    limit: usize,
    long_line: LongLine,
    /// Compression of the file; `reader` gives decompressed bytes.
    compression: Compression,
    /// Offset of `buffer` in the (decompressed) text.
    offset: u64,
    buffer: Vec<u8>,
}

impl Lines {
    pub fn new(
        reader: Box<dyn BufRead + Send>,
        limit: usize,
        long_line: LongLine,
        compression: Compression,
    ) -> Self {
        Self { reader, limit, long_line, compression, offset: 0, buffer: Vec::new() }
    }

    /// The next line; none at the end.
    pub fn next(&mut self, path: &Path) -> Result<Option<Line>> {
        let ended = self.fill(path)?;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        if !ended && self.long_line == LongLine::Refuse {
            let (at, limit) = (self.offset, self.limit >> 20);
            return Err(Error::data(format!(
                "{}: the line at byte {at} is longer than {limit} MiB",
                path.display()
            )));
        }

        let cut = if ended { self.buffer.len() } else { self.cut() };
        let rest = self.buffer.split_off(cut);
        let piece = std::mem::replace(&mut self.buffer, rest);
        let offset = self.offset;
        self.offset += piece.len() as u64;

        let compressed = self.compression != Compression::None;
        let mut text = String::from_utf8(piece).map_err(|error| {
            let at = offset + error.utf8_error().valid_up_to() as u64;
            let hint = "convert the file to UTF-8";
            let inside = if compressed { " of the decompressed text" } else { "" };
            Error::data(format!("{} is not UTF-8 at byte {at}{inside}; {hint}", path.display()))
        })?;

        while ended && text.ends_with(['\n', '\r']) {
            text.pop();
        }
        if offset == 0 && text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Ok(Some(Line { text, complete: ended }))
    }

    /// Fills the buffer up to a line break or the end of the text (returns true), or up to the
    /// limit (returns false).
    fn fill(&mut self, path: &Path) -> Result<bool> {
        let compressed = self.compression != Compression::None;
        loop {
            if self.buffer.ends_with(b"\n") {
                return Ok(true);
            }
            if self.buffer.len() >= self.limit {
                return Ok(false);
            }

            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if compressed => return Err(broken(&error, path)),
                Err(error) => return Err(Error::io("read", path)(error)),
            };
            if chunk.is_empty() {
                return Ok(true);
            }

            let room = self.limit - self.buffer.len();
            let chunk = &chunk[..chunk.len().min(room)];
            let line =
                chunk.iter().position(|byte| *byte == b'\n').map_or(chunk.len(), |at| at + 1);
            self.buffer.extend_from_slice(&chunk[..line]);
            self.reader.consume(line);
        }
    }

    /// Where to cut a full buffer: after the last space or tab, else before a character that may be
    /// incomplete.
    fn cut(&self) -> usize {
        let space =
            self.buffer.iter().rev().take(10_000).position(|byte| matches!(byte, b' ' | b'\t'));
        if let Some(back) = space {
            return self.buffer.len() - back;
        }

        match std::str::from_utf8(&self.buffer) {
            Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
                error.valid_up_to()
            }
            _ => self.buffer.len(),
        }
    }
}

/// The error for a compressed file that cannot be read on.
pub fn broken(error: &std::io::Error, path: &Path) -> Error {
    let path = path.display();
    if error.kind() == ErrorKind::UnexpectedEof || error.to_string().contains("incomplete frame") {
        return Error::data(format!(
            "{path} ends early: the compressed file is truncated; fetch or write it again"
        ));
    }
    Error::data(format!("{path} cannot be decompressed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(bytes: &[u8], limit: usize) -> Result<Vec<Line>> {
        let reader = Box::new(Cursor::new(bytes.to_vec()));
        let mut lines = Lines::new(reader, limit, LongLine::Cut, Compression::None);
        std::iter::from_fn(|| lines.next(Path::new("x.txt")).transpose()).collect()
    }

    fn texts(bytes: &[u8], limit: usize) -> Vec<String> {
        read(bytes, limit).expect("text").into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn line_breaks_of_both_kinds_and_a_byte_order_mark_are_taken_off() {
        assert_eq!(texts(b"\xef\xbb\xbfa\r\nb\n\nc", 100), ["a", "b", "", "c"]);
    }

    #[test]
    fn a_long_line_is_cut_at_white_space_or_between_characters_and_loses_nothing() {
        assert_eq!(texts(b"one two three\nx", 9), ["one two ", "three", "x"]);
        assert_eq!(texts("ööööö".as_bytes(), 5), ["öö", "öö", "ö"]);
        let lines = read(b"one two three\n", 9).expect("text");
        assert_eq!(lines.iter().map(|line| line.complete).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn what_is_not_utf8_is_named_by_its_offset() {
        let message = read(b"good\nba\xffd\n", 100).expect_err("refused").to_string();
        assert_eq!(message, "x.txt is not UTF-8 at byte 7; convert the file to UTF-8");
        let message = read(b"cut \xc3", 100).expect_err("refused").to_string();
        assert!(message.contains("at byte 4"), "{message}");
    }
}
