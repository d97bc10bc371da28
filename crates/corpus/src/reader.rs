//! Documents from files of every format, paragraph by paragraph, in bounded memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::annotations::{Annotations, Parts, SpanLines, location, of_record};
use crate::compression::decompressed;
use crate::delimited::DelimitedRows;
use crate::error::{Error, Result};
use crate::format::FileFormat;
use crate::json_record::{self, JsonRecord};
use crate::lines::{Line, Lines, LongLine};
use crate::table::Rows;
use crate::text::{DocumentBoundary, Text, TextConfig, TextFile, spans_compression};

/// Size in bytes of the longest JSON line that is read.
const LONGEST_RECORD: usize = 256 << 20;
/// Size in bytes of the longest paragraph that is returned whole; longer ones are cut at white
/// space.
const LONGEST_PARAGRAPH: usize = 1 << 20;

/// An item in the stream of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A paragraph.
    Paragraph {
        /// Never blank, without line breaks.
        text: String,
        /// Spans annotated by the user, as byte ranges of the text: ascending, disjoint, without
        /// white space at either end.
        spans: Vec<Range<usize>>,
    },
    /// The end of the document that the preceding paragraphs belong to.
    EndOfDocument,
}

/// The documents of a text, in order.
pub struct Documents<'a> {
    text: &'a Text,
    next_input: usize,
    source: Option<OpenFile>,
    /// Events that were read and not yet returned.
    ready: VecDeque<Event>,
    /// Whether the current document has a paragraph.
    open: bool,
    /// Bytes read from disk.
    consumed: Arc<AtomicU64>,
    /// Bytes that [`Documents::progress`] has reported.
    reported: u64,
    /// Number of paragraphs that were cut because they were too long.
    pub cut: u64,
    /// Number of annotated spans that hold nothing but white space, or cross a line break or a cut.
    pub dropped_spans: u64,
    /// Number of rows and JSON lines whose text is null or blank.
    pub empty: u64,
}

/// A document with line breaks, and its spans in bytes.
struct Record {
    text: String,
    spans: Vec<Range<usize>>,
}

/// The next part of a file.
enum FilePart {
    Line { line: Line, spans: Vec<Range<usize>> },
    Document(Record),
}

impl FilePart {
    /// The document in a row of a table.
    fn of_row(text: String) -> Self {
        Self::Document(Record { text, spans: Vec::new() })
    }
}

enum OpenFile {
    Plain { lines: Lines, annotation: Option<SpanLines> },
    JsonLines { lines: Lines, number: usize },
    Delimited(DelimitedRows),
    Parquet(Rows),
}

impl OpenFile {
    /// The next part of the file, which lies in `path`; none at the end.
    fn next(
        &mut self,
        path: &Path,
        config: &TextConfig,
        dropped_spans: &mut u64,
    ) -> Result<Option<FilePart>> {
        match self {
            Self::Plain { lines, annotation } => {
                let Some(line) = lines.next(path)? else {
                    if let Some(annotation) = annotation {
                        annotation.finish(path)?;
                    }
                    return Ok(None);
                };

                let spans = match annotation {
                    Some(annotation) => annotation.next(&line, path, dropped_spans)?,
                    None => Vec::new(),
                };
                Ok(Some(FilePart::Line { line, spans }))
            }
            Self::JsonLines { lines, number } => {
                while let Some(Line { text, .. }) = lines.next(path)? {
                    *number += 1;
                    if !text.trim().is_empty() {
                        let location = location(path, *number);
                        let record = record(&text, config, &location, dropped_spans)?;
                        return Ok(Some(FilePart::Document(record)));
                    }
                }
                Ok(None)
            }
            Self::Delimited(rows) => Ok(rows.next(path)?.map(FilePart::of_row)),
            Self::Parquet(rows) => Ok(rows.next(path)?.map(FilePart::of_row)),
        }
    }
}

impl<'a> Documents<'a> {
    /// The documents of `text`, from its beginning.
    pub fn new(text: &'a Text) -> Self {
        Self {
            text,
            next_input: 0,
            source: None,
            ready: VecDeque::new(),
            open: false,
            consumed: Arc::default(),
            reported: 0,
            cut: 0,
            dropped_spans: 0,
            empty: 0,
        }
    }

    /// Bytes read from disk since the last call.
    pub fn progress(&mut self) -> u64 {
        let consumed = self.consumed.load(Ordering::Relaxed);
        let new = consumed - self.reported;
        self.reported = consumed;
        new
    }

    /// Opens the next file, or reads on in the open one. Returns false at the end of the text.
    fn advance(&mut self) -> Result<bool> {
        let config = &self.text.config;
        let Some(source) = &mut self.source else {
            let Some(input) = self.text.inputs.get(self.next_input) else { return Ok(false) };
            self.source = Some(open(input, self.text, &self.consumed)?);
            self.next_input += 1;
            return Ok(true);
        };

        let path = &self.text.inputs[self.next_input - 1].path;
        match source.next(path, config, &mut self.dropped_spans)? {
            Some(FilePart::Line { line, spans }) => self.plain(&line, spans),
            Some(FilePart::Document(Record { text, spans })) => self.document(&text, spans),
            None => {
                self.end();
                self.source = None;
            }
        }
        Ok(true)
    }

    /// Queues the events of a line, or of a piece of one, of a plain text file.
    fn plain(&mut self, line: &Line, spans: Vec<Range<usize>>) {
        self.cut += u64::from(!line.complete);
        let blank = line.text.trim().is_empty();

        match self.text.config.document {
            DocumentBoundary::BlankLine if blank => self.end(),
            _ if blank => {}
            boundary => {
                self.paragraph(&line.text, line.text.trim(), &mut Parts::new(spans));
                if boundary == DocumentBoundary::Line && line.complete {
                    self.end();
                }
            }
        }
    }

    /// Queues the events of a document whose lines are paragraphs.
    fn document(&mut self, text: &str, spans: Vec<Range<usize>>) {
        self.empty += u64::from(text.trim().is_empty());
        let mut spans = Parts::new(spans);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut rest = line;
            while rest.len() > LONGEST_PARAGRAPH {
                let (head, tail) = rest.split_at(cut_at(rest, LONGEST_PARAGRAPH));
                self.cut += 1;
                self.paragraph(text, head.trim(), &mut spans);
                rest = tail.trim_start();
            }
            self.paragraph(text, rest, &mut spans);
        }
        self.end();
    }

    /// Queues a paragraph, which is a slice of `whole`, with the spans in it.
    fn paragraph(&mut self, whole: &str, text: &str, spans: &mut Parts) {
        if text.is_empty() {
            return;
        }

        let start = text.as_ptr().addr() - whole.as_ptr().addr();
        let spans = spans.take(start..start + text.len(), &mut self.dropped_spans);
        self.ready.push_back(Event::Paragraph { text: text.to_owned(), spans });
        self.open = true;
    }

    /// Ends the current document if it has a paragraph.
    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            self.ready.push_back(Event::EndOfDocument);
        }
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }

            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    // Nothing is read after a broken file.
                    self.next_input = self.text.inputs.len();
                    self.source = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Where to cut a text that is longer than `limit`: after the last white space before it, or
/// between two characters.
fn cut_at(text: &str, limit: usize) -> usize {
    let boundary = text.floor_char_boundary(limit);
    let space = text[..boundary].char_indices().rev().take(10_000).find(|(_, c)| c.is_whitespace());
    space.map_or(boundary, |(at, c)| at + c.len_utf8())
}

fn open(input: &TextFile, text: &Text, consumed: &Arc<AtomicU64>) -> Result<OpenFile> {
    let path = &input.path;
    let file = File::open(path).map_err(Error::io("open", path))?;
    if input.kind == FileFormat::Parquet {
        let rows = Rows::open(file, path, &text.config.text_field, consumed.clone())?;
        return Ok(OpenFile::Parquet(rows));
    }

    let counted = Counted { file, consumed: consumed.clone() };
    let compression = input.compression;
    let reader = decompressed(counted, path, compression)?;
    match input.kind {
        FileFormat::JsonLines => {
            let lines = Lines::new(reader, LONGEST_RECORD, LongLine::Refuse, compression);
            return Ok(OpenFile::JsonLines { lines, number: 0 });
        }
        FileFormat::Csv | FileFormat::Tsv => {
            let rows = DelimitedRows::open(reader, path, &text.config.text_field, input.kind)?;
            return Ok(OpenFile::Delimited(rows));
        }
        FileFormat::Plain | FileFormat::Parquet => {}
    }

    let lines = Lines::new(reader, LONGEST_PARAGRAPH, LongLine::Cut, compression);
    let annotation = input.spans.as_deref().map(open_spans).transpose()?;
    Ok(OpenFile::Plain { lines, annotation })
}

fn open_spans(path: &Path) -> Result<SpanLines> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let compression = spans_compression(path);
    let reader = decompressed(file, path, compression)?;
    Ok(SpanLines::new(Lines::new(reader, LONGEST_RECORD, LongLine::Refuse, compression), path))
}

/// The document of a JSON line, with its spans if `config` asks for them.
fn record(
    line: &str,
    config: &TextConfig,
    location: &str,
    dropped_spans: &mut u64,
) -> Result<Record> {
    let with_spans = config.annotations == Annotations::Spans;
    let JsonRecord { text, spans } =
        json_record::read(line, &config.text_field, with_spans, location)?;
    let text = text.unwrap_or_default();
    let spans = match config.annotations {
        Annotations::None => Vec::new(),
        Annotations::Spans => of_record(spans.as_ref(), &text, location, dropped_spans)?,
    };
    Ok(Record { text, spans })
}

/// A file whose consumed bytes are counted, for progress.
struct Counted {
    file: File,
    consumed: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.consumed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
