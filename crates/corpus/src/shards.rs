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

/// The file of spans.
pub const SPANS: &str = "spans.bin";
/// Bytes of a file that are hashed and written at once.
const HELD_BYTES: usize = 1 << 18;

/// Size and hash of a file, in the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its size.
    pub bytes: u64,
    /// Its blake3 in hexadecimal.
    pub blake3: String,
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

/// Writes tokens (two bytes each where the vocabulary allows, else four), word starts (a bit a
/// token), and where sentences and documents start (eight bytes each, counted in tokens); where
/// asked for, where spans start and end (the same, two numbers each).
pub struct ShardWriter {
    folder: PathBuf,
    wide: bool,
    shard: Option<(String, Hashed)>,
    in_shard: u64,
    words: Hashed,
    /// Bits of the byte of `words` that is not yet full.
    bits: (u8, u8),
    sentences: Hashed,
    documents: Hashed,
    spans: Option<Hashed>,
    files: BTreeMap<String, FileEntry>,
    /// Tokens written.
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
            bits: (0, 0),
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

    /// The spans of the paragraph that comes next, counted from its first token.
    pub fn spans(&mut self, spans: &[Range<u32>]) -> Result<()> {
        let Some(file) = &mut self.spans else { return Ok(()) };
        spans
            .iter()
            .flat_map(|span| [span.start, span.end])
            .try_for_each(|token| file.write(&(self.tokens + u64::from(token)).to_le_bytes()))
    }

    /// A paragraph's tokens, word starts and sentence starts (counted from the paragraph's first
    /// token).
    pub fn paragraph(
        &mut self,
        tokens: &[u32],
        word_starts: &[bool],
        sentence_starts: &[u32],
    ) -> Result<()> {
        for start in sentence_starts {
            self.sentences.write(&(self.tokens + u64::from(*start)).to_le_bytes())?;
        }
        for starts in word_starts {
            self.bits = (self.bits.0 | u8::from(*starts) << self.bits.1, self.bits.1 + 1);
            if self.bits.1 == 8 {
                self.words.write(&[self.bits.0])?;
                self.bits = (0, 0);
            }
        }
        let mut rest = tokens;
        while !rest.is_empty() {
            if self.shard.is_none() {
                let name = shard_name(self.tokens / SHARD_TOKENS);
                let file = Hashed::create(&self.folder.join(&name))?;
                self.shard = Some((name, file));
            }
            let room = (SHARD_TOKENS - self.in_shard) as usize;
            let (part, later) = rest.split_at(rest.len().min(room));
            let bytes: Vec<u8> = if self.wide {
                part.iter().flat_map(|token| token.to_le_bytes()).collect()
            } else {
                part.iter().flat_map(|token| (*token as u16).to_le_bytes()).collect()
            };
            if let Some((_, file)) = &mut self.shard {
                file.write(&bytes)?;
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
        if let Some((name, file)) = self.shard.take() {
            self.files.insert(name, file.finish()?);
        }
        self.in_shard = 0;
        Ok(())
    }

    pub fn finish(mut self) -> Result<BTreeMap<String, FileEntry>> {
        self.close_shard()?;
        if self.bits.1 > 0 {
            self.words.write(&[self.bits.0])?;
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
        reason = "mapping a file is unsafe because another process may change it meanwhile; files of a \
                                   corpus are written once, under another name, and never changed"
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
        // A map begins at a page, and the file's size was checked.
        bytemuck::cast_slice(self.bytes())
    }

    /// The eight-byte numbers of the file, two by two.
    pub fn pairs(&self) -> &[[u64; 2]] {
        // An empty slice of bytes need not lie where numbers may.
        self.0.as_deref().map(bytemuck::cast_slice).unwrap_or_default()
    }
}
