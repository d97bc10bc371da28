//! The passages of a corpus, found by number in constant time.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::observer::{ProgressObserver, check};
use crate::packing::{Packer, PackingConfig};
use crate::random::{below, keyed_rng, uniform};
use crate::shards::{FileEntry, Hashed, Map};

/// Selects documents of a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Subset {
    /// All documents.
    All,
    /// The documents that are not held out.
    Train {
        /// Share that is held out.
        valid_fraction: f64,
        /// Seed of the draw.
        seed: u64,
    },
    /// The documents that are held out.
    Valid {
        /// Share that is held out.
        valid_fraction: f64,
        /// Seed of the draw.
        seed: u64,
    },
}

/// Consecutive sentences of a text, without special tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Number of the passage in its packing.
    pub number: u64,
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Positions of the tokens that begin a sentence. The first is 0, even where the passage begins
    /// inside a sentence.
    pub sentence_starts: Vec<u32>,
    /// Positions, other than 0, of the tokens that begin a document.
    pub document_starts: Vec<u32>,
    /// Whether each token begins a word; true for the first.
    pub word_starts: Vec<bool>,
    /// Spans annotated by the user, widened to whole words, ascending and disjoint. Spans that
    /// cross an edge of the passage are left out.
    pub spans: Vec<Range<u32>>,
    /// The number of tokens that packing aimed at.
    pub target: usize,
}

impl Passage {
    /// A passage of one document in which every token is a word.
    pub fn of_words(number: u64, tokens: Vec<u32>, sentence_starts: Vec<u32>) -> Self {
        let (word_starts, target) = (vec![true; tokens.len()], tokens.len());

        Self {
            number,
            tokens,
            sentence_starts,
            document_starts: Vec::new(),
            word_starts,
            spans: Vec::new(),
            target,
        }
    }

    /// The tokens of `range`, under the same number. Spans that cross its edges are left out.
    ///
    /// # Panics
    /// When there are no such tokens.
    pub fn part(&self, range: Range<usize>) -> Self {
        let (first, end) = (range.start as u32, range.end as u32);
        let starts = |starts: &[u32]| {
            let inside = starts.iter().filter(|start| (first + 1..end).contains(start));
            inside.map(|start| start - first).collect::<Vec<u32>>()
        };
        let inside = |span: &&Range<u32>| first <= span.start && span.end <= end;
        let spans = self.spans.iter().filter(inside);

        let mut word_starts = self.word_starts[range.clone()].to_vec();
        word_starts.iter_mut().take(1).for_each(|starts| *starts = true);
        Self {
            number: self.number,
            tokens: self.tokens[range.clone()].to_vec(),
            sentence_starts: [vec![0], starts(&self.sentence_starts)].concat(),
            document_starts: starts(&self.document_starts),
            word_starts,
            spans: spans.map(|span| span.start - first..span.end - first).collect(),
            target: self.target.min(range.len()),
        }
    }
}

/// The passages of a subset of a corpus.
#[derive(Debug)]
pub struct Passages {
    corpus: Arc<Corpus>,
    packing: PackingConfig,
    /// Start and end of each passage, in tokens of the corpus.
    index: Map,
}

impl Subset {
    /// Whether document number `document`, of `documents` in all, belongs to the subset.
    fn contains(&self, document: u64, documents: u64) -> bool {
        match *self {
            Self::All => true,
            Self::Train { valid_fraction, seed } => {
                !is_held_out(document, documents, valid_fraction, seed)
            }
            Self::Valid { valid_fraction, seed } => {
                is_held_out(document, documents, valid_fraction, seed)
            }
        }
    }
}

/// Whether a document is held out, drawn from `seed`. With a positive fraction and at least two
/// documents, the first document is never held out, and the second one is if no later one is, so
/// that neither side is empty.
fn is_held_out(document: u64, documents: u64, fraction: f64, seed: u64) -> bool {
    let draw = |document| uniform(&mut keyed_rng("split", seed, document, 0));

    match (document, documents) {
        (0, 2..) if fraction > 0.0 => false,
        (1, 2..) if fraction > 0.0 => {
            draw(1) < fraction || (2..documents).all(|other| draw(other) >= fraction)
        }
        _ => draw(document) < fraction,
    }
}

impl Passages {
    /// Packs the documents of `subset`, or reuses the index of an earlier packing.
    ///
    /// # Errors
    /// When there is no passage, the settings are invalid, or the index cannot be written.
    pub fn open(
        corpus: &Arc<Corpus>,
        subset: Subset,
        packing: PackingConfig,
        observer: &dyn ProgressObserver,
    ) -> Result<Self> {
        if packing.max_tokens < 2 || !(0.0..1.0).contains(&packing.short_share) {
            return Err(Error::data(format!(
                "passages of at most {} tokens with a share of {} short ones cannot be packed; \
                 at least 2 tokens, and a share of at least 0 and below 1",
                packing.max_tokens, packing.short_share
            )));
        }

        let settings = serde_json::to_string(&(subset, packing)).expect("settings are JSON");
        let key = blake3::hash(settings.as_bytes()).to_hex();
        let path = corpus.folder().join(format!("passages-{}.bin", &key[..16]));
        let index = match open_index(&path) {
            Some(index) => index,
            None => {
                write_index(corpus, subset, packing, &path, observer)?;
                open_index(&path)
                    .ok_or_else(|| Error::data(format!("{} is damaged", path.display())))?
            }
        };

        if index.bytes().is_empty() {
            return Err(Error::data(
                "there is no passage: the text has too few documents for this split",
            ));
        }
        Ok(Self { corpus: corpus.clone(), packing, index })
    }

    /// Number of passages.
    #[allow(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> u64 {
        self.index.numbers().len() as u64 / 2
    }

    /// Number of tokens in all passages.
    pub fn tokens(&self) -> u64 {
        self.index.numbers().chunks_exact(2).map(|range| range[1] - range[0]).sum()
    }

    /// The manifest of the corpus.
    pub fn manifest(&self) -> &Manifest {
        self.corpus.manifest()
    }

    /// The number of the document in which passage `number` begins.
    ///
    /// # Panics
    /// When there is no such passage.
    pub fn document(&self, number: u64) -> u64 {
        let start = self.index.numbers()[2 * number as usize];
        self.corpus.document_starts().partition_point(|document| *document <= start) as u64
    }

    /// A passage of another document than the one in which passage `number` begins, drawn from
    /// (seed, epoch, number). It begins with a drawn sentence and goes on for whole sentences until
    /// it has the greatest length of a passage or the document ends. None if ten draws, as many as
    /// BERT's code makes, all fall on the same document.
    pub fn partner(&self, number: u64, seed: u64, epoch: u64) -> Option<Passage> {
        let rng = &mut keyed_rng("partner", seed, epoch, number);
        let here = self.document(number);
        let mut draws = (0..10).map(|_| below(self.len() as usize, rng) as u64);
        let other = draws.find(|other| self.document(*other) != here)?;

        Some(self.read(number, self.partner_range(other, rng)))
    }

    /// Whole sentences of the document in which passage `other` begins, from a sentence drawn from
    /// that passage on.
    fn partner_range(&self, other: u64, rng: &mut ChaCha8Rng) -> Range<u64> {
        let (document, reach) = (self.document_range(other), self.packing.max_tokens as u64);
        let sentences = self.corpus.sentence_starts();
        let sentence_of = |token: u64| sentences.partition_point(|start| *start <= token) - 1;

        let passage = self.range(other);
        let first = sentence_of(passage.start);
        let last = sentence_of((passage.end - 1).min(document.end - 1));
        let drawn = sentences[first + below(last - first + 1, rng)];
        // An earlier sentence if the document ends too soon after the drawn one.
        let latest = sentences[sentence_of(document.end.saturating_sub(reach))];
        let start = drawn.min(latest).max(document.start);

        let mut later = sentences[sentence_of(start)..].iter().copied();
        let end = later.find(|sentence| *sentence >= start + reach).unwrap_or(document.end);
        // A sentence may be of any length, hence the limit.
        start..end.min(document.end).min(start + 2 * reach)
    }

    /// Passage `number`. Costs the same for every number.
    ///
    /// # Panics
    /// When there is no such passage.
    pub fn get(&self, number: u64) -> Passage {
        self.read(number, self.range(number))
    }

    /// Start and end of passage `number`, in tokens of the corpus.
    fn range(&self, number: u64) -> Range<u64> {
        let at = 2 * number as usize;
        self.index.numbers()[at]..self.index.numbers()[at + 1]
    }

    /// Start and end, in tokens of the corpus, of the document in which passage `number` begins.
    fn document_range(&self, number: u64) -> Range<u64> {
        let starts = self.corpus.document_starts();
        let document = self.document(number) as usize;
        starts[document - 1]..starts.get(document).copied().unwrap_or(self.corpus.tokens())
    }

    /// The tokens in `range`, as passage `number`.
    fn read(&self, number: u64, range: Range<u64>) -> Passage {
        let within = |starts: &[u64]| -> Vec<u32> {
            let first = starts.partition_point(|start| *start <= range.start);
            let inside = starts[first..].iter().take_while(|start| **start < range.end);
            inside.map(|start| (start - range.start) as u32).collect()
        };

        let mut sentence_starts = within(self.corpus.sentence_starts());
        sentence_starts.insert(0, 0);
        let mut word_starts: Vec<bool> =
            range.clone().map(|token| self.corpus.word_starts(token)).collect();
        word_starts[0] = true;

        let spans = self.corpus.spans();
        let first = spans.partition_point(|[start, _]| *start < range.start);
        let inside = spans[first..].iter().take_while(|[_, end]| *end <= range.end);
        let spans = inside
            .map(|span| span.map(|token| (token - range.start) as u32))
            .map(|[start, end]| start..end)
            .collect();

        Passage {
            number,
            tokens: self.corpus.read(range.clone()),
            sentence_starts,
            document_starts: within(self.corpus.document_starts()),
            word_starts,
            spans,
            target: self.packing.target(number),
        }
    }
}

/// The file with size and hash of the index in `path`.
fn entry_path(path: &Path) -> PathBuf {
    path.with_extension("json")
}

/// Opens the index in `path`; none if it is missing or damaged.
fn open_index(path: &Path) -> Option<Map> {
    let entry: FileEntry = serde_json::from_slice(&fs::read(entry_path(path)).ok()?).ok()?;
    let map = Map::open(path).ok()?;
    let same = entry.matches(&map);
    if !same {
        tracing::warn!("{} is damaged; it is made again", path.display());
    }
    same.then_some(map)
}

/// Packs the documents of `subset` and writes the index of the passages to `path`.
fn write_index(
    corpus: &Corpus,
    subset: Subset,
    packing: PackingConfig,
    path: &Path,
    observer: &dyn ProgressObserver,
) -> Result<()> {
    // The name has the process id in it, since another process may pack the same documents.
    let aside = path.with_extension(format!("bin.{}.tmp", std::process::id()));
    let mut file = Hashed::create(&aside)?;
    pack(corpus, subset, packing, &mut file, observer)?;
    let written = file.finish()?;

    fs::rename(&aside, path).map_err(Error::io("rename", &aside))?;
    let entry = entry_path(path);
    fs::write(&entry, serde_json::to_vec(&written).expect("an entry is JSON"))
        .map_err(Error::io("write", &entry))
}

/// Packs the documents of `subset` and writes start and end of each passage to `file`.
fn pack(
    corpus: &Corpus,
    subset: Subset,
    packing: PackingConfig,
    file: &mut Hashed,
    observer: &dyn ProgressObserver,
) -> Result<()> {
    let (documents, sentences) = (corpus.document_starts(), corpus.sentence_starts());
    let mut packer = Packer::new(packing);
    let mut next_sentence = 0;

    for (number, start) in documents.iter().enumerate() {
        if number % 4096 == 0 {
            check(observer)?;
        }

        let end = documents.get(number + 1).copied().unwrap_or(corpus.tokens());
        next_sentence += sentences[next_sentence..].partition_point(|sentence| sentence < start);
        if !subset.contains(number as u64, documents.len() as u64) {
            packer.gap();
            continue;
        }

        packer.start_document();
        let mut from = *start;
        while from < end {
            next_sentence += 1;
            let to = sentences.get(next_sentence).map_or(end, |sentence| (*sentence).min(end));
            packer.sentence(from..to);
            from = to;
        }
        write_ranges(file, &mut packer.done)?;
    }

    packer.close();
    write_ranges(file, &mut packer.done)
}

/// Moves `ranges` to `file`.
fn write_ranges(file: &mut Hashed, ranges: &mut Vec<Range<u64>>) -> Result<()> {
    ranges.drain(..).try_for_each(|range| {
        file.write(&range.start.to_le_bytes())?;
        file.write(&range.end.to_le_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_of_documents_and_has_both_sides() {
        for (documents, seed) in [(2, 1), (3, 5), (40, 0), (1000, 7)] {
            let valid_fraction = 0.1;
            let side = |subset: Subset| -> Vec<u64> {
                (0..documents).filter(|document| subset.contains(*document, documents)).collect()
            };

            let train = side(Subset::Train { valid_fraction, seed });
            let valid = side(Subset::Valid { valid_fraction, seed });
            assert!(!train.is_empty() && !valid.is_empty(), "{documents}");
            assert_eq!(train.len() + valid.len(), documents as usize);
            assert!(train.iter().all(|document| !valid.contains(document)));
        }

        let valid = Subset::Valid { valid_fraction: 0.1, seed: 7 };
        let share = (0..10_000).filter(|document| valid.contains(*document, 10_000)).count() as f64
            / 10_000.0;
        assert!((share - 0.1).abs() < 0.015, "{share}");
    }
}
