//! Learning n-grams from a corpus by the rule of PMI-Masking's authors (AI21Labs/pmi-masking,
//! README, section 1).

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;

use super::{Ngram, Ngrams, WORDS};
use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::observer::{ProgressObserver, check};

/// Which n-grams are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NgramConfig {
    /// Fewest occurrences. The authors: 11.
    pub min_count: u64,
    /// Most n-grams: half of them of two words, a quarter of three, an eighth each of four and
    /// five. The authors: 800,000.
    pub size: usize,
}

impl Default for NgramConfig {
    fn default() -> Self {
        Self { min_count: 11, size: 800_000 }
    }
}

impl NgramConfig {
    /// Most n-grams of `words` words.
    fn share(&self, words: usize) -> usize {
        match words {
            2 => self.size / 2,
            3 => self.size / 4,
            _ => self.size / 8,
        }
    }
}

/// Numbers of words, the rest [`NOTHING`].
type Key = [u32; *WORDS.end()];

/// Stands after the last word of a key.
const NOTHING: u32 = u32::MAX;

/// How often the n-grams of one length occur.
#[derive(Debug, Default)]
struct Counts {
    of: HashMap<Key, u64>,
    total: u64,
}

/// The words of a text by their token ids.
#[derive(Debug, Default)]
struct Lexicon {
    numbers: HashMap<Box<[u32]>, u32>,
    words: Vec<Box<[u32]>>,
}

impl Ngrams {
    /// The n-grams of a corpus with the highest scores, those of two words first, the best of each
    /// length first.
    ///
    /// An n-gram lies within a sentence and occurs at least `min_count` times. Memory grows with
    /// the number of different n-grams whose parts are that frequent.
    ///
    /// # Errors
    /// When the settings ask for nothing, or the observer interrupts.
    pub fn learn(
        corpus: &Corpus,
        config: NgramConfig,
        observer: &dyn ProgressObserver,
    ) -> Result<Vec<Ngram>> {
        if config.min_count == 0 || config.size < 8 {
            let message = "n-grams must occur at least once, and there must be at least 8 of them";
            return Err(Error::data(message));
        }

        let mut lexicon = Lexicon::default();
        let mut counts: Vec<Counts> = Vec::new();
        for n in 1..=*WORDS.end() {
            observer.stage(&format!("counting n-grams of {n} words"), None);
            let found = count(corpus, n, &mut lexicon, counts.last(), config.min_count, observer)?;
            observer.finish();
            counts.push(found);
        }
        Ok(WORDS.flat_map(|n| best(n, &counts, &lexicon, config.share(n))).collect())
    }
}

/// Counts the n-grams of `n` words whose first and last `n - 1` words are frequent, and drops those
/// that are not.
fn count(
    corpus: &Corpus,
    n: usize,
    lexicon: &mut Lexicon,
    shorter: Option<&Counts>,
    min_count: u64,
    observer: &dyn ProgressObserver,
) -> Result<Counts> {
    let mut counts = Counts::default();
    for sentence in sentences(corpus) {
        check(observer)?;
        let words = lexicon.words(corpus, sentence);
        for ngram in words.windows(n) {
            counts.total += 1;
            let frequent = |part: &[u32]| shorter.is_none_or(|s| s.of.contains_key(&key(part)));
            if frequent(&ngram[..n - 1]) && frequent(&ngram[1..]) {
                *counts.of.entry(key(ngram)).or_default() += 1;
            }
        }
    }

    counts.of.retain(|_, count| *count >= min_count);
    Ok(counts)
}

/// The sentences of a corpus, in tokens.
fn sentences(corpus: &Corpus) -> impl Iterator<Item = Range<u64>> {
    let starts = corpus.sentence_starts();
    let ends = starts.iter().skip(1).copied().chain([corpus.tokens()]);
    starts.iter().zip(ends).map(|(start, end)| *start..end)
}

impl Lexicon {
    /// The numbers of the words of a sentence.
    fn words(&mut self, corpus: &Corpus, sentence: Range<u64>) -> Vec<u32> {
        let tokens = corpus.read(sentence.clone());
        let begins = |i: &usize| *i > 0 && corpus.word_starts(sentence.start + *i as u64);
        let edges: Vec<usize> =
            [0].into_iter().chain((0..tokens.len()).filter(begins)).chain([tokens.len()]).collect();
        edges.windows(2).map(|edge| self.number(&tokens[edge[0]..edge[1]])).collect()
    }

    fn number(&mut self, word: &[u32]) -> u32 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = self.words.len() as u32;
        self.numbers.insert(word.into(), number);
        self.words.push(word.into());
        number
    }
}

fn key(words: &[u32]) -> Key {
    let mut key = [NOTHING; *WORDS.end()];
    key[..words.len()].copy_from_slice(words);
    key
}

/// The `most` n-grams of `n` words with the highest scores. Equal scores are put in the order of
/// their words.
fn best(n: usize, counts: &[Counts], lexicon: &Lexicon, most: usize) -> Vec<Ngram> {
    let ngram = |(key, count): (&Key, &u64)| {
        let words = &key[..n];
        let tokens = words.iter().flat_map(|word| lexicon.words[*word as usize].iter().copied());
        Ngram { tokens: tokens.collect(), words: n, count: *count, score: score(words, counts) }
    };

    let mut ngrams: Vec<Ngram> = counts[n - 1].of.iter().map(ngram).collect();
    ngrams
        .sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.tokens.cmp(&b.tokens)));
    ngrams.truncate(most);
    ngrams
}

/// The score of an n-gram.
fn score(words: &[u32], counts: &[Counts]) -> f64 {
    let log_probability = |part: &[u32]| {
        let Counts { of, total } = &counts[part.len() - 1];
        (of[&key(part)] as f64 / *total as f64).ln()
    };

    // A set bit cuts behind its word; without a cut the n-gram is no segmentation of itself.
    let cuts = 1..1u32 << (words.len() - 1);
    let of_parts = |cuts: u32| {
        let ends = (0..words.len() - 1).filter(|i| cuts >> i & 1 == 1).map(|i| i + 1);
        let edges: Vec<usize> = [0].into_iter().chain(ends).chain([words.len()]).collect();
        edges.windows(2).map(|edge| log_probability(&words[edge[0]..edge[1]])).sum::<f64>()
    };
    2.0 * log_probability(words) - cuts.map(of_parts).fold(f64::NEG_INFINITY, f64::max)
}
