//! The files of a tokenised corpus, written in one pass and read through memory maps.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use crate::annotations::Annotations;
use crate::error::{Error, Result};

/// Tokens of a shard; the last one of a corpus has fewer.
pub const SHARD_TOKENS: u64 = 1 << 26;
/// Name of the file of spans.
pub const SPANS: &str = "spans.bin";
/// Number of bytes that are hashed and written at once.
const HELD_BYTES: usize = 1 << 18;

/// Size and hash of a file, in the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Size.
    pub bytes: u64,
    /// blake3 in hexadecimal.
    pub blake3: String,
}

impl FileEntry {
    /// Whether the content of `map` has this size and hash.
    pub(crate) fn matches(&self, map: &Map) -> bool {
        map.bytes().len() as u64 == self.bytes
            && blake3::hash(map.bytes()).to_hex().as_str() == self.blake3
    }
}

/// A file that is hashed while it is written.
pub struct Hashed {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Hashed {
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(Error::io("write", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            buffer: Vec::new(),
            hasher: blake3::Hasher::new(),
            bytes: 0,
        })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < HELD_BYTES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<()> {
        self.hasher.update(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        self.file.write_all(&self.buffer).map_err(Error::io("write", &self.path))?;
        self.buffer.clear();
        Ok(())
    }

    /// Flushes to the disk.
    pub fn finish(mut self) -> Result<FileEntry> {
        self.flush()?;
        self.file.sync_all().map_err(Error::io("write", &self.path))?;
        Ok(FileEntry { bytes: self.bytes, blake3: self.hasher.finalize().to_hex().to_string() })
    }
}

/// The last byte of the word starts, while it has fewer than eight bits.
#[derive(Default)]
struct PartialByte {
    bits: u8,
    filled: u8,
}

/// The shard that is being filled.
struct OpenShard {
    name: String,
    file: Hashed,
}

/// Writes the files of a corpus: tokens (two bytes each where the vocabulary allows, else four),
/// word starts (one bit per token), and the positions of the tokens that begin a sentence or a
/// document (eight bytes each). With annotations, also the start and the end of each span (eight
/// bytes each).
pub struct ShardWriter {
    folder: PathBuf,
    wide: bool,
    shard: Option<OpenShard>,
    /// Number of tokens in `shard`.
    in_shard: u64,
    words: Hashed,
    partial_byte: PartialByte,
    sentences: Hashed,
    documents: Hashed,
    spans: Option<Hashed>,
    files: BTreeMap<String, FileEntry>,
    /// Number of tokens written.
    pub tokens: u64,
}

impl ShardWriter {
    pub fn create(folder: &Path, vocabulary: usize, annotations: Annotations) -> Result<Self> {
        let spans = match annotations {
            Annotations::None => None,
            Annotations::Spans => Some(Hashed::create(&folder.join(SPANS))?),
        };

        Ok(Self {
            folder: folder.to_owned(),
            wide: is_wide(vocabulary),
            shard: None,
            in_shard: 0,
            words: Hashed::create(&folder.join("words.bin"))?,
            partial_byte: PartialByte::default(),
            sentences: Hashed::create(&folder.join("sentences.bin"))?,
            documents: Hashed::create(&folder.join("documents.bin"))?,
            spans,
            files: BTreeMap::new(),
            tokens: 0,
        })
    }

    pub fn start_document(&mut self) -> Result<()> {
        self.documents.write(&self.tokens.to_le_bytes())
    }

    /// Writes the spans of the next paragraph, counted from its first token.
    pub fn spans(&mut self, spans: &[Range<u32>]) -> Result<()> {
        let Some(file) = &mut self.spans else { return Ok(()) };
        spans
            .iter()
            .flat_map(|span| [span.start, span.end])
            .try_for_each(|token| file.write(&(self.tokens + u64::from(token)).to_le_bytes()))
    }

    /// Writes the tokens, word starts and sentence starts (counted from the first token) of a
    /// paragraph.
    pub fn paragraph(
        &mut self,
        tokens: &[u32],
        word_starts: &[bool],
        sentence_starts: &[u32],
    ) -> Result<()> {
        for start in sentence_starts {
            self.sentences.write(&(self.tokens + u64::from(*start)).to_le_bytes())?;
        }
        self.word_starts(word_starts)?;
        self.token_ids(tokens)
    }

    fn word_starts(&mut self, word_starts: &[bool]) -> Result<()> {
        for starts in word_starts {
            let byte = &mut self.partial_byte;
            byte.bits |= u8::from(*starts) << byte.filled;
            byte.filled += 1;
            if byte.filled == 8 {
                self.words.write(&[byte.bits])?;
                *byte = PartialByte::default();
            }
        }
        Ok(())
    }

    fn token_ids(&mut self, tokens: &[u32]) -> Result<()> {
        let mut rest = tokens;
        while !rest.is_empty() {
            if self.shard.is_none() {
                let name = shard_name(self.tokens / SHARD_TOKENS);
                let file = Hashed::create(&self.folder.join(&name))?;
                self.shard = Some(OpenShard { name, file });
            }

            let room = (SHARD_TOKENS - self.in_shard) as usize;
            let (part, later) = rest.split_at(rest.len().min(room));
            let bytes: Vec<u8> = if self.wide {
                part.iter().flat_map(|token| token.to_le_bytes()).collect()
            } else {
                part.iter().flat_map(|token| (*token as u16).to_le_bytes()).collect()
            };
            if let Some(shard) = &mut self.shard {
                shard.file.write(&bytes)?;
            }

            self.in_shard += part.len() as u64;
            self.tokens += part.len() as u64;
            if self.in_shard == SHARD_TOKENS {
                self.close_shard()?;
            }
            rest = later;
        }
        Ok(())
    }

    fn close_shard(&mut self) -> Result<()> {
        if let Some(OpenShard { name, file }) = self.shard.take() {
            self.files.insert(name, file.finish()?);
        }
        self.in_shard = 0;
        Ok(())
    }

    /// Completes every file; returns their entries for the manifest.
    pub fn finish(mut self) -> Result<BTreeMap<String, FileEntry>> {
        self.close_shard()?;
        if self.partial_byte.filled > 0 {
            self.words.write(&[self.partial_byte.bits])?;
        }

        for (name, file) in [
            ("words.bin", self.words),
            ("sentences.bin", self.sentences),
            ("documents.bin", self.documents),
        ] {
            self.files.insert(name.to_owned(), file.finish()?);
        }
        if let Some(file) = self.spans {
            self.files.insert(SPANS.to_owned(), file.finish()?);
        }
        Ok(self.files)
    }
}

/// Whether ids need four bytes.
pub fn is_wide(vocabulary: usize) -> bool {
    vocabulary > 1 << 16
}

pub fn shard_name(number: u64) -> String {
    format!("tokens-{number:05}.bin")
}

/// A file mapped into memory; an empty one is an empty slice.
#[derive(Debug, Default)]
pub struct Map(Option<Mmap>);

impl Map {
    #[allow(
        unsafe_code,
        reason = "mapping a file is unsafe because another process may change it meanwhile; \
                  files of a corpus are written once, under another name, and never changed"
    )]
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let bytes = file.metadata().map_err(Error::io("open", path))?.len();
        if bytes == 0 {
            return Ok(Self(None));
        }

        // SAFETY: see the reason above.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
        Ok(Self(Some(map)))
    }

    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// The eight-byte numbers of the file.
    pub fn numbers(&self) -> &[u64] {
        // A map is aligned to a page, and the size of the file was checked.
        bytemuck::cast_slice(self.bytes())
    }

    /// The eight-byte numbers of the file, in pairs.
    pub fn pairs(&self) -> &[[u64; 2]] {
        // An empty slice of bytes need not be aligned as numbers are.
        self.0.as_deref().map(bytemuck::cast_slice).unwrap_or_default()
    }
}
