//! Counting documents that occur more than once, in bounded memory.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const BUCKETS: usize = 64;
/// Number of hashes held in memory before they are written out.
const HELD: usize = 1 << 20;

/// Counts documents that repeat an earlier one up to white space. The 64-bit hashes of the
/// documents are spread over bucket files, and each bucket is sorted by itself.
pub struct Duplicates {
    folder: PathBuf,
    buckets: Vec<Vec<u64>>,
    held: usize,
    document: blake3::Hasher,
    /// Words of the current paragraph, a space after each.
    words: String,
}

impl Duplicates {
    /// No document yet; bucket files will go to `folder`.
    pub fn new(folder: &Path) -> Self {
        let buckets = vec![Vec::new(); BUCKETS];
        Self {
            folder: folder.to_owned(),
            buckets,
            held: 0,
            document: blake3::Hasher::new(),
            words: String::new(),
        }
    }

    /// Adds a paragraph to the current document.
    pub fn paragraph(&mut self, text: &str) {
        self.words.clear();
        for word in text.split_whitespace() {
            self.words.push_str(word);
            self.words.push(' ');
        }
        self.document.update(self.words.as_bytes());
    }

    /// Ends the current document.
    pub fn end(&mut self) -> Result<()> {
        let hash = self.document.finalize();
        self.document.reset();
        let hash = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight bytes"));

        self.buckets[hash as usize % BUCKETS].push(hash);
        self.held += 1;
        if self.held == HELD { self.spill() } else { Ok(()) }
    }

    fn path(&self, bucket: usize) -> PathBuf {
        self.folder.join(format!("duplicates-{bucket:02}.tmp"))
    }

    /// Appends the hashes in memory to the bucket files.
    fn spill(&mut self) -> Result<()> {
        for bucket in 0..BUCKETS {
            let path = self.path(bucket);
            let bytes: Vec<u8> =
                self.buckets[bucket].drain(..).flat_map(u64::to_le_bytes).collect();

            let append =
                || OpenOptions::new().create(true).append(true).open(&path)?.write_all(&bytes);
            append().map_err(Error::io("write", &path))?;
        }
        self.held = 0;
        Ok(())
    }

    /// The number of documents that repeat an earlier one. Removes the bucket files.
    pub fn count(mut self) -> Result<u64> {
        let mut count = 0;
        for bucket in 0..BUCKETS {
            let mut hashes = std::mem::take(&mut self.buckets[bucket]);
            hashes.extend(take_file(&self.path(bucket))?);

            hashes.sort_unstable();
            count += hashes.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
        }
        Ok(count)
    }
}

/// The hashes in a bucket file, which is removed. None if there is no such file.
fn take_file(path: &Path) -> Result<Vec<u64>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    fs::remove_file(path).map_err(Error::io("remove", path))?;

    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    Ok(bytes.chunks_exact(8).map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_whether_held_or_written_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut duplicates = Duplicates::new(folder.path());
        for (i, text) in ["a b", "c", "a  b", "d", "c", "a b"].into_iter().enumerate() {
            duplicates.paragraph(text);
            duplicates.end().expect("counted");
            if i == 2 {
                duplicates.spill().expect("written");
            }
        }

        assert_eq!(duplicates.count().expect("counted"), 3);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 0);
    }
}
