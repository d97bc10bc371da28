//! A tokenised text, read through memory maps.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::annotations::Annotations;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, manifest_path};
use crate::shards::{Map, SHARD_TOKENS, SPANS, is_wide, shard_name};

/// A tokenised text.
#[derive(Debug)]
pub struct Corpus {
    folder: PathBuf,
    manifest: Manifest,
    shards: Vec<Map>,
    words: Map,
    sentences: Map,
    documents: Map,
    spans: Map,
    counts: Vec<u64>,
}

/// Figures that describe a text, to be shown to people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Documents.
    pub documents: u64,
    /// Documents that repeat an earlier one.
    pub duplicates: u64,
    /// Sentences.
    pub sentences: u64,
    /// Words.
    pub words: u64,
    /// Tokens, without special tokens.
    pub tokens: u64,
    /// Bytes of text.
    pub bytes: u64,
    /// Share of tokens that are unknown.
    pub unknown_share: f64,
    /// Paragraphs that were cut because they were too long.
    pub cut_paragraphs: u64,
    /// Rows and JSON lines whose text is null or blank.
    pub empty_rows: u64,
    /// Annotated spans.
    pub spans: u64,
    /// Annotated spans that were left out; see
    /// [`Counts::dropped_spans`](crate::Counts::dropped_spans).
    pub dropped_spans: u64,
    /// Mean number of tokens per word.
    pub tokens_per_word: f64,
    /// Median and 95th percentile of the number of tokens of a sentence.
    pub sentence_tokens: [u64; 2],
    /// Median and 95th percentile of the number of tokens of a document.
    pub document_tokens: [u64; 2],
}

impl Corpus {
    /// Opens a corpus and checks each of its files against the manifest.
    ///
    /// # Errors
    /// Names the file that is missing or damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = manifest_path(folder);
        let text = std::fs::read(&path)
            .map_err(|error| Error::data(format!("{}: {error}", path.display())))?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| {
            Error::data(format!("the manifest {} is damaged: {error}", path.display()))
        })?;

        let open = |name: &str| open_file(folder, &manifest, name);
        let number = manifest.counts.tokens.div_ceil(SHARD_TOKENS);
        let shards = (0..number)
            .into_par_iter()
            .map(|i| open(&shard_name(i)))
            .collect::<Result<Vec<_>>>()?;
        let (words, sentences, documents) =
            (open("words.bin")?, open("sentences.bin")?, open("documents.bin")?);
        let spans = match manifest.text.annotations {
            Annotations::None => Map::default(),
            Annotations::Spans => open(SPANS)?,
        };
        let counts = open("counts.bin")?.numbers().to_vec();

        Ok(Self {
            folder: folder.to_owned(),
            shards,
            words,
            sentences,
            documents,
            spans,
            counts,
            manifest,
        })
    }

    /// The folder that holds the corpus.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The content of `manifest.json`: sources, counts and files.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Number of tokens.
    pub fn tokens(&self) -> u64 {
        self.manifest.counts.tokens
    }

    /// Number of documents.
    pub fn documents(&self) -> u64 {
        self.manifest.counts.documents
    }

    /// How often each token id occurs.
    pub fn token_counts(&self) -> &[u64] {
        &self.counts
    }

    /// The tokens in a range.
    pub(crate) fn read(&self, range: Range<u64>) -> Vec<u32> {
        let wide = is_wide(self.manifest.vocabulary);
        let mut tokens = Vec::with_capacity((range.end - range.start) as usize);
        let mut at = range.start;

        while at < range.end {
            let bytes = self.shards[(at / SHARD_TOKENS) as usize].bytes();
            let from = (at % SHARD_TOKENS) as usize;
            let to = (from as u64 + range.end - at).min(SHARD_TOKENS) as usize;

            if wide {
                let id =
                    |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                tokens.extend(bytes[4 * from..4 * to].chunks_exact(4).map(id));
            } else {
                let id = |bytes: &[u8]| u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
                tokens.extend(bytes[2 * from..2 * to].chunks_exact(2).map(id));
            }
            at += (to - from) as u64;
        }

        tokens
    }

    /// Whether a word begins with the token.
    pub(crate) fn word_starts(&self, token: u64) -> bool {
        self.words.bytes()[(token / 8) as usize] >> (token % 8) & 1 == 1
    }

    /// Positions of the tokens that begin a sentence, ascending.
    pub(crate) fn sentence_starts(&self) -> &[u64] {
        self.sentences.numbers()
    }

    /// Positions of the tokens that begin a document, ascending.
    pub(crate) fn document_starts(&self) -> &[u64] {
        self.documents.numbers()
    }

    /// Start and end of each annotated span, in tokens, ascending.
    pub(crate) fn spans(&self) -> &[[u64; 2]] {
        self.spans.pairs()
    }

    /// Figures that describe the text.
    pub fn statistics(&self) -> Statistics {
        let counts = &self.manifest.counts;
        let share = |count: u64, of: u64| count as f64 / of.max(1) as f64;

        Statistics {
            documents: counts.documents,
            duplicates: counts.duplicates,
            sentences: counts.sentences,
            words: counts.words,
            tokens: counts.tokens,
            bytes: counts.bytes,
            unknown_share: share(counts.unknown, counts.tokens),
            cut_paragraphs: counts.cut,
            empty_rows: counts.empty,
            spans: counts.spans,
            dropped_spans: counts.dropped_spans,
            tokens_per_word: share(counts.tokens, counts.words),
            sentence_tokens: percentiles(self.sentence_starts(), counts.tokens),
            document_tokens: percentiles(self.document_starts(), counts.tokens),
        }
    }
}

/// Opens the file `name` of a corpus and checks it against the manifest.
fn open_file(folder: &Path, manifest: &Manifest, name: &str) -> Result<Map> {
    let path = folder.join(name);
    let Some(entry) = manifest.files.get(name) else {
        return Err(Error::data(format!("{} is not in the manifest", path.display())));
    };

    let map =
        Map::open(&path).map_err(|error| Error::data(format!("the shard is damaged: {error}")))?;
    if entry.matches(&map) {
        Ok(map)
    } else {
        Err(Error::data(format!("the shard {} is damaged", path.display())))
    }
}

/// Median and 95th percentile of the lengths of the stretches that begin at `starts`, the last one
/// ending at `end`. Lengths go into a histogram whose last bin collects all longer ones, so that
/// memory does not grow with the text.
fn percentiles(starts: &[u64], end: u64) -> [u64; 2] {
    let mut histogram = vec![0u64; 1 << 16];
    let ends = starts.iter().skip(1).copied().chain([end]);
    for (start, end) in starts.iter().zip(ends) {
        let last = histogram.len() - 1;
        histogram[((end - start) as usize).min(last)] += 1;
    }

    [0.5, 0.95].map(|share| {
        let wanted = (share * starts.len() as f64).ceil() as u64;
        let mut seen = 0;
        let reaches = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        histogram.iter().position(reaches).unwrap_or(0) as u64
    })
}

/// Cross-entropy, in nats per token, of a text with the token counts `text` under the unigram
/// distribution estimated from the token counts `model` with additive smoothing by `added`. A text
/// under its own counts, without smoothing, has its own entropy.
pub fn unigram_cross_entropy(model: &[u64], text: &[u64], added: f64) -> f64 {
    let total: f64 = model.iter().map(|count| *count as f64 + added).sum();
    let tokens: f64 = text.iter().map(|count| *count as f64).sum();
    let nats = |(m, t): (&u64, &u64)| match t {
        0 => 0.0,
        t => -(*t as f64) * ((*m as f64 + added) / total).ln(),
    };

    model.iter().zip(text).map(nats).sum::<f64>() / tokens.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_gaps() {
        // Lengths 1, 1, 2, 6.
        assert_eq!(percentiles(&[0, 1, 2, 4], 10), [1, 6]);
    }

    #[test]
    fn a_uniform_unigram_costs_the_log_of_its_size() {
        assert!(
            (unigram_cross_entropy(&[9, 9, 9, 9], &[1, 2, 3, 4], 1.0) - 4f64.ln()).abs() < 1e-12
        );
        // Two tokens of equal probability: one bit.
        assert!((unigram_cross_entropy(&[3, 3], &[5, 0], 1.0) - 2f64.ln()).abs() < 1e-12);
        // A text of two tokens once each has its own entropy, whatever the vocabulary.
        assert!((unigram_cross_entropy(&[1, 0, 1], &[1, 0, 1], 0.0) - 2f64.ln()).abs() < 1e-12);
    }
}
