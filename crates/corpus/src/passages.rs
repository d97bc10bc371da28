//! The passages of a corpus, found by number in constant time.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::observer::{ProgressObserver, check};
use crate::packing::{Packer, PackingConfig};
use crate::random::{below, keyed_rng, uniform};
use crate::shards::{FileEntry, Hashed, Map};

/// Which documents of a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Subset {
    /// Every one.
    All,
    /// Those that are not held out.
    Train {
        /// Share that is held out.
        valid_fraction: f64,
        /// Seed of the draw.
        seed: u64,
    },
    /// Those that are held out.
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
    /// Its number in the packing.
    pub number: u64,
    /// Token ids.
    pub tokens: Vec<u32>,
    /// The tokens sentences start with; the first is 0, also where the passage begins inside a
    /// sentence.
    pub sentence_starts: Vec<u32>,
    /// The tokens other than the first that documents start with.
    pub document_starts: Vec<u32>,
    /// Whether a word begins with the token; true for the first.
    pub word_starts: Vec<bool>,
    /// The spans that the user annotated, as tokens of whole words, ascending and apart; without
    /// those that an edge of the passage cuts.
    pub spans: Vec<Range<u32>>,
    /// How many tokens it was to be filled with.
    pub target: usize,
}

impl Passage {
    /// Tokens of one document, each a word.
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
}

/// The passages of a subset of a corpus.
#[derive(Debug)]
pub struct Passages {
    corpus: Arc<Corpus>,
    packing: PackingConfig,
    /// Where each passage starts and ends, in tokens of the corpus: two numbers each.
    index: Map,
}

impl Subset {
    fn contains(&self, document: u64, documents: u64) -> bool {
        let held_out = |fraction: f64, seed: u64| {
            let draw = |document| uniform(&mut keyed_rng("split", seed, document, 0));
            // One document on each side at least: the smallest and the largest draw decide when
            // chance does not.
            match (document, documents) {
                (0, 2..) if fraction > 0.0 => false,
                (1, 2..) if fraction > 0.0 => {
                    draw(1) < fraction || (2..documents).all(|d| draw(d) >= fraction)
                }
                _ => draw(document) < fraction,
            }
        };
        match *self {
            Self::All => true,
            Self::Train { valid_fraction, seed } => !held_out(valid_fraction, seed),
            Self::Valid { valid_fraction, seed } => held_out(valid_fraction, seed),
        }
    }
}

impl Passages {
    /// Packs the documents of `subset`, unless that was done before.
    ///
    /// # Errors
    /// When there is no passage, the settings cannot be, or the index cannot be written.
    pub fn open(
        corpus: &Arc<Corpus>,
        subset: Subset,
        packing: PackingConfig,
        observer: &dyn ProgressObserver,
    ) -> Result<Self> {
        if packing.max_tokens < 2 || !(0.0..1.0).contains(&packing.short_share) {
            return Err(Error::data(format!(
                "passages of at most {} tokens with a share of {} short ones cannot be packed; at least 2 tokens, and \
                 a share of at least 0 and below 1",
                packing.max_tokens, packing.short_share
            )));
        }
        let settings = serde_json::to_string(&(subset, packing)).expect("settings are JSON");
        let key = blake3::hash(settings.as_bytes()).to_hex();
        let path = corpus.folder().join(format!("passages-{}.bin", &key[..16]));
        let entry = path.with_extension("json");
        let index = match open_index(&path, &entry) {
            Some(index) => index,
            None => {
                write_index(corpus, subset, &packing, &path, &entry, observer)?;
                open_index(&path, &entry)
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

    /// How many there are.
    #[allow(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> u64 {
        self.index.numbers().len() as u64 / 2
    }

    /// Tokens of all passages.
    pub fn tokens(&self) -> u64 {
        self.index.numbers().chunks_exact(2).map(|range| range[1] - range[0]).sum()
    }

    /// What the text was made from.
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

    /// Text of another document than passage `number` begins in, drawn from (seed, epoch, number):
    /// from one of its sentences on, whole sentences with as many tokens as a passage has at most,
    /// or all that the document has. None where ten draws, as many as BERT's code makes, meet the
    /// same document.
    pub fn partner(&self, number: u64, seed: u64, epoch: u64) -> Option<Passage> {
        let rng = &mut keyed_rng("partner", seed, epoch, number);
        let here = self.document(number);
        let mut draws = (0..10).map(|_| below(self.len() as usize, rng) as u64);
        let other = draws.find(|other| self.document(*other) != here)?;
        let (document, reach) = (self.document_range(other), self.packing.max_tokens as u64);
        // A sentence that begins in the passage; an earlier one where the document would end too
        // soon.
        let sentences = self.corpus.sentence_starts();
        let at = |token: u64| sentences.partition_point(|start| *start <= token) - 1;
        let passage = self.range(other);
        let first = at(passage.start);
        let last = at((passage.end - 1).min(document.end - 1));
        let start = sentences[first + below(last - first + 1, rng)];
        let start =
            start.min(sentences[at(document.end.saturating_sub(reach))]).max(document.start);
        let end =
            sentences[at(start)..].iter().copied().find(|sentence| *sentence >= start + reach);
        // A sentence may have no end in sight.
        Some(self.read(
            number,
            start..end.unwrap_or(document.end).min(document.end).min(start + 2 * reach),
        ))
    }

    /// Passage `number`. Costs the same for every number.
    ///
    /// # Panics
    /// When there is no such passage.
    pub fn get(&self, number: u64) -> Passage {
        self.read(number, self.range(number))
    }

    /// Where passage `number` starts and ends.
    fn range(&self, number: u64) -> Range<u64> {
        let at = 2 * number as usize;
        self.index.numbers()[at]..self.index.numbers()[at + 1]
    }

    /// Where the document in which passage `number` begins starts and ends.
    fn document_range(&self, number: u64) -> Range<u64> {
        let starts = self.corpus.document_starts();
        let document = self.document(number) as usize;
        starts[document - 1]..starts.get(document).copied().unwrap_or(self.corpus.tokens())
    }

    /// The text in `range`, as passage `number`.
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
            .map(|[a, b]| a..b)
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

fn open_index(path: &Path, entry: &Path) -> Option<Map> {
    let entry: FileEntry = serde_json::from_slice(&fs::read(entry).ok()?).ok()?;
    let map = Map::open(path).ok()?;
    let same = map.bytes().len() as u64 == entry.bytes
        && blake3::hash(map.bytes()).to_hex().as_str() == entry.blake3;
    if !same {
        tracing::warn!("{} is damaged; it is made again", path.display());
    }
    same.then_some(map)
}

fn write_index(
    corpus: &Corpus,
    subset: Subset,
    packing: &PackingConfig,
    path: &Path,
    entry: &Path,
    observer: &dyn ProgressObserver,
) -> Result<()> {
    // Names of its own, as another process may pack the same.
    let aside = path.with_extension(format!("bin.{}.tmp", std::process::id()));
    let mut file = Hashed::create(&aside)?;
    let mut packer = Packer::new(*packing);
    let mut put = |ranges: &mut Vec<Range<u64>>| -> Result<()> {
        ranges.drain(..).try_for_each(|range| {
            file.write(&range.start.to_le_bytes())?;
            file.write(&range.end.to_le_bytes())
        })
    };
    let (documents, sentences) = (corpus.document_starts(), corpus.sentence_starts());
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
        put(&mut packer.done)?;
    }
    packer.close();
    put(&mut packer.done)?;
    let written = file.finish()?;
    fs::rename(&aside, path).map_err(Error::io("rename", &aside))?;
    fs::write(entry, serde_json::to_vec(&written).expect("an entry is JSON"))
        .map_err(Error::io("write", entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_of_documents_and_has_both_sides() {
        for (documents, seed) in [(2, 1), (3, 5), (40, 0), (1000, 7)] {
            let (valid_fraction, side) = (0.1, |subset: Subset| {
                (0..documents)
                    .filter(|document| subset.contains(*document, documents))
                    .collect::<Vec<u64>>()
            });
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
