//! Spans annotated by the user, read from `NAME.txt.spans` beside the text or from the field
//! `spans` of a JSON line.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::lines::{Line, Lines};

/// Which annotations are read with the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Annotations {
    /// Nothing.
    #[default]
    None,
    /// Spans, such as named entities and noun phrases (SpanBERT, Joshi et al. 2020, table 6).
    /// The spans of a text file `NAME.txt` are in `NAME.txt.spans` (or `.spans.gz` and the like),
    /// which has a line for each line of the text, with `start:end` pairs separated by blanks. The
    /// spans of a JSON line are in its optional field `spans`, `[[start, end], ...]`. Offsets count
    /// the characters of the line (without byte order mark and line break) or of the text field,
    /// from 0, the end exclusive; the spans of a line are ascending and do not overlap.
    Spans,
}

/// Hands out the ranges of a text part by part.
pub struct Parts {
    rest: VecDeque<Range<usize>>,
}

impl Parts {
    /// `ranges` are ascending and disjoint.
    pub fn new(ranges: Vec<Range<usize>>) -> Self {
        Self { rest: ranges.into() }
    }

    /// Takes the ranges inside the next part; their offsets count from the beginning of the part.
    /// Ranges that end in the part but begin before it are counted in `dropped`; ranges that end
    /// after it are kept for later parts.
    pub fn take(&mut self, part: Range<usize>, dropped: &mut u64) -> Vec<Range<usize>> {
        let mut inside = Vec::new();
        while let Some(range) = self.rest.pop_front_if(|range| range.end <= part.end) {
            if range.start < part.start {
                *dropped += 1;
            } else {
                inside.push(range.start - part.start..range.end - part.start);
            }
        }
        inside
    }
}

/// Reads the annotation of a text file line by line.
pub struct SpanLines {
    lines: Lines,
    path: PathBuf,
    number: usize,
    /// The rest of a line of which only a piece was read.
    open: Option<OpenLine>,
}

/// A line of which only a piece was read.
struct OpenLine {
    /// Its spans, in characters.
    spans: Parts,
    /// Number of characters read.
    read: usize,
}

impl SpanLines {
    pub fn new(lines: Lines, path: &Path) -> Self {
        Self { lines, path: path.to_owned(), number: 0, open: None }
    }

    /// The spans, in bytes, of the next line of the text or of the next piece of a line that is
    /// cut. Spans that are lost are counted in `dropped`.
    pub fn next(
        &mut self,
        line: &Line,
        text: &Path,
        dropped: &mut u64,
    ) -> Result<Vec<Range<usize>>> {
        let OpenLine { mut spans, read: from } = match self.open.take() {
            Some(open) => open,
            None => OpenLine { spans: Parts::new(self.read(text)?), read: 0 },
        };
        let to = from + line.text.chars().count();
        let inside = spans.take(from..to, dropped);

        if !line.complete {
            self.open = Some(OpenLine { spans, read: to });
        } else if let Some(span) = spans.rest.front() {
            return Err(beyond(span, to, &location(&self.path, self.number)));
        }
        Ok(to_bytes(&line.text, &inside, dropped))
    }

    /// The spans of the next line of the annotation, in characters.
    fn read(&mut self, text: &Path) -> Result<Vec<Range<usize>>> {
        let Some(line) = self.lines.next(&self.path)? else {
            return Err(Error::data(format!(
                "{} ends after line {}, but {} goes on; write a line for each line of the text, \
                 empty where there is no span, each with a line break",
                self.path.display(),
                self.number,
                text.display()
            )));
        };

        self.number += 1;
        parse(&line.text, &location(&self.path, self.number))
    }

    /// Checks that the annotation ends where the text does.
    pub fn finish(&mut self, text: &Path) -> Result<()> {
        if self.lines.next(&self.path)?.is_none() {
            return Ok(());
        }
        Err(Error::data(format!(
            "{} goes on after line {}, but {} ends there; write a line for each line of the text",
            self.path.display(),
            self.number,
            text.display()
        )))
    }
}

/// The spans, in bytes, of a JSON line with the document `text`. Spans that are lost are counted in
/// `dropped`.
pub fn of_record(
    field: Option<&serde_json::Value>,
    text: &str,
    location: &str,
    dropped: &mut u64,
) -> Result<Vec<Range<usize>>> {
    let Some(field) = field.filter(|field| !field.is_null()) else { return Ok(Vec::new()) };
    let pairs = Vec::<[usize; 2]>::deserialize(field).map_err(|error| {
        let form = "write [[start, end], ...], numbers of characters of the text";
        Error::data(format!("{location}: the field `spans` holds no spans ({error}); {form}"))
    })?;
    let spans = checked(pairs.into_iter().map(|[start, end]| start..end), location)?;

    let Some(last) = spans.last() else { return Ok(spans) };
    let length = text.chars().count();
    if last.end > length {
        Err(beyond(last, length, location))
    } else {
        Ok(to_bytes(text, &spans, dropped))
    }
}

/// The line of a file, as errors name it.
pub fn location(path: &Path, number: usize) -> String {
    format!("{}, line {number}", path.display())
}

/// The spans of a line of the annotation.
fn parse(line: &str, location: &str) -> Result<Vec<Range<usize>>> {
    let span = |word: &str| {
        parse_span(word).ok_or_else(|| {
            let hint = "write start:end, numbers of characters";
            Error::data(format!("{location}: `{word}` is no span; {hint}"))
        })
    };
    let spans = line.split_whitespace().map(span).collect::<Result<Vec<_>>>()?;
    checked(spans.into_iter(), location)
}

/// The span that `start:end` describes.
fn parse_span(word: &str) -> Option<Range<usize>> {
    let (start, end) = word.split_once(':')?;
    Some(start.parse().ok()?..end.parse().ok()?)
}

/// Refuses spans that are empty, overlap, or are not ascending.
fn checked(spans: impl Iterator<Item = Range<usize>>, location: &str) -> Result<Vec<Range<usize>>> {
    let mut checked: Vec<Range<usize>> = Vec::new();
    for Range { start, end } in spans {
        if start >= end {
            let hint = "the end is exclusive, and greater than the start";
            return Err(Error::data(format!(
                "{location}: the span {start}:{end} is empty; {hint}"
            )));
        }

        if let Some(last) = checked.last().filter(|last| start < last.end) {
            let hint = "write them ascending and without overlap";
            let Range { start: from, end: to } = last;
            return Err(Error::data(format!(
                "{location}: the span {start}:{end} begins before {from}:{to} ends; {hint}"
            )));
        }
        checked.push(start..end);
    }
    Ok(checked)
}

/// The error for a span that ends after the text, which has `length` characters.
fn beyond(span: &Range<usize>, length: usize, location: &str) -> Error {
    let Range { start, end } = span;
    let hint = "count characters, not bytes or tokens";
    Error::data(format!(
        "{location}: the span {start}:{end} ends beyond the text, \
         which has {length} characters; {hint}"
    ))
}

/// Turns ranges of characters into ranges of bytes, without white space at either end. Ranges of
/// nothing but white space are counted in `dropped`.
fn to_bytes(text: &str, spans: &[Range<usize>], dropped: &mut u64) -> Vec<Range<usize>> {
    let (mut characters, mut bytes) = (0, 0);
    let mut byte = |wanted: usize| {
        bytes += text[bytes..].chars().take(wanted - characters).map(char::len_utf8).sum::<usize>();
        characters = wanted;
        bytes
    };

    let mut ranges = Vec::with_capacity(spans.len());
    for span in spans {
        let (start, end) = (byte(span.start), byte(span.end));
        let start = end - text[start..end].trim_start().len();
        let end = start + text[start..end].trim_end().len();
        if start < end {
            ranges.push(start..end);
        } else {
            *dropped += 1;
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::Compression;
    use crate::lines::LongLine;
    use crate::random::{below, keyed_rng};

    /// The texts of the spans of each line, and the number of dropped spans.
    fn read(text: &[u8], spans: &str, limit: usize) -> Result<(Vec<Vec<String>>, u64)> {
        let lines = |bytes: &[u8], limit, long_line| {
            let reader = Box::new(std::io::Cursor::new(bytes.to_vec()));
            Lines::new(reader, limit, long_line, Compression::None)
        };
        let path = Path::new("a.txt");
        let mut text = lines(text, limit, LongLine::Cut);
        let spans = lines(spans.as_bytes(), 1 << 20, LongLine::Refuse);
        let mut spans = SpanLines::new(spans, Path::new("a.txt.spans"));

        let (mut dropped, mut found) = (0, Vec::new());
        while let Some(line) = text.next(path)? {
            let ranges = spans.next(&line, path, &mut dropped)?;
            found.push(ranges.into_iter().map(|range| line.text[range].to_owned()).collect());
        }
        spans.finish(path)?;
        Ok((found, dropped))
    }

    fn spans(text: &str, spans: &str) -> Vec<Vec<String>> {
        read(text.as_bytes(), spans, 1 << 20).expect("read").0
    }

    #[test]
    fn offsets_count_characters_without_byte_order_mark_and_line_break() {
        assert_eq!(
            spans("Zoë saw 東京.\n\nb\n", "0:3 8:10\n\n0:1\n"),
            [vec!["Zoë", "東京"], vec![], vec!["b"]]
        );
        assert_eq!(
            spans("\u{feff}ab c\r\nd\r\n", "\u{feff}0:2 3:4\r\n0:1\r\n"),
            [vec!["ab", "c"], vec!["d"]]
        );
        assert_eq!(
            spans("e\u{301}a", "0:2 2:3"),
            [["e\u{301}", "a"]],
            "a character is a code point"
        );
    }

    #[test]
    fn white_space_at_the_ends_is_no_part_of_a_span() {
        assert_eq!(
            read(b" a b  c\n", "0:4 5:6 6:7\n", 100).expect("read"),
            (vec![vec!["a b".into(), "c".into()]], 1)
        );
    }

    #[test]
    fn the_spans_of_a_line_that_is_cut_go_to_its_pieces() {
        // Cut before "three": the span over the cut is dropped.
        let (found, dropped) =
            read(b"one two three four\nx\n", "0:3 4:10 14:18\n0:1\n", 9).expect("read");
        assert_eq!(found, [vec!["one"], vec![], vec!["four"], vec!["x"]]);
        assert_eq!(dropped, 1);
    }

    #[test]
    fn no_span_is_lost_without_being_counted_however_a_line_is_cut() {
        for seed in 0..300 {
            let rng = &mut keyed_rng("annotations", seed, 0, 0);
            let text: String =
                (0..60).map(|_| ["a", "é", "東", "b ", "\t"][below(5, rng)]).collect();
            let length = text.chars().count();

            let mut ends: Vec<usize> = (0..20).map(|_| below(length + 1, rng)).collect();
            ends.sort_unstable();
            ends.dedup();
            let pairs: Vec<&[usize]> = ends.chunks_exact(2).collect();
            let line: Vec<String> =
                pairs.iter().map(|pair| format!("{}:{}", pair[0], pair[1])).collect();

            let characters: Vec<char> = text.chars().collect();
            let whole = |pair: &&[usize]| {
                characters[pair[0]..pair[1]].iter().collect::<String>().trim().to_owned()
            };
            let mut wanted = pairs.iter().map(whole);

            let (found, dropped) = read(text.as_bytes(), &line.join(" "), 12).expect("read");
            let found: Vec<String> = found.into_iter().flatten().collect();
            assert_eq!(found.len() as u64 + dropped, pairs.len() as u64);
            assert!(
                found.iter().all(|span| wanted.any(|wanted| wanted == *span)),
                "in order: {found:?} of {text:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_file_and_line() {
        let message = |text: &str, spans: &str| {
            read(text.as_bytes(), spans, 9).expect_err("refused").to_string()
        };

        assert!(
            message("a\nb\n", "0:1\n")
                .starts_with("a.txt.spans ends after line 1, but a.txt goes on; ")
        );
        assert!(
            message("a\n", "0:1\n\n")
                .starts_with("a.txt.spans goes on after line 1, but a.txt ends there; ")
        );
        assert!(
            message("a\nb\n", "\n0-1\n")
                .starts_with("a.txt.spans, line 2: `0-1` is no span; write start:end")
        );

        assert!(message("ab", "-1:1").contains("`-1:1` is no span"));
        assert!(message("ab", "1:1").starts_with("a.txt.spans, line 1: the span 1:1 is empty; "));
        assert!(
            message("abc", "1:3 0:1")
                .contains("the span 0:1 begins before 1:3 ends; write them ascending")
        );
        assert!(message("abc", "0:2 1:3").contains("the span 1:3 begins before 0:2 ends"));
        assert!(
            message("é\n", "0:2")
                .contains("the span 0:2 ends beyond the text, which has 1 characters; ")
        );
        assert!(
            message("one two three", "9:14")
                .contains("ends beyond the text, which has 13 characters")
        );
    }
}
