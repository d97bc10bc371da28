//! N-grams of words that occur together more often than their parts (PMI-Masking, Levine et al.
//! 2021): learnt from a corpus, kept in a file, and found again in a text.

mod file;
mod learn;

use std::collections::HashSet;

pub use learn::NgramConfig;

/// Fewest and most words of an n-gram.
const WORDS: std::ops::RangeInclusive<usize> = 2..=5;

/// An n-gram of words.
#[derive(Clone, Debug, PartialEq)]
pub struct Ngram {
    /// Its token ids.
    pub tokens: Vec<u32>,
    /// Number of words.
    pub words: usize,
    /// How often it occurs.
    pub count: u64,
    /// The natural logarithm of its squared probability over the product of the probabilities of
    /// its parts, for the segmentation in which that is least.
    pub score: f64,
}

/// Known n-grams by their token ids.
#[derive(Clone, Debug, Default)]
pub struct Ngrams {
    known: HashSet<Box<[u32]>>,
    hash: String,
}

impl FromIterator<Vec<u32>> for Ngrams {
    fn from_iter<I: IntoIterator<Item = Vec<u32>>>(tokens: I) -> Self {
        let mut tokens: Vec<Vec<u32>> = tokens.into_iter().collect();
        tokens.sort_unstable();
        let mut hash = blake3::Hasher::new();
        for ngram in &tokens {
            hash.update(&(ngram.len() as u64).to_le_bytes());
            ngram.iter().for_each(|token| _ = hash.update(&token.to_le_bytes()));
        }
        let hash = hash.finalize().to_string();
        Self { known: tokens.into_iter().map(Vec::into_boxed_slice).collect(), hash }
    }
}

impl Ngrams {
    /// blake3 of all token ids, in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The longest known n-grams in a sequence of words, given by their tokens: first word and word
    /// after the last. Ascending; none lies inside another, but they may overlap.
    pub fn find<W: AsRef<[u32]>>(&self, words: &[W]) -> Vec<std::ops::Range<usize>> {
        let mut found: Vec<std::ops::Range<usize>> = Vec::new();
        for start in 0..words.len() {
            let Some(end) = self.longest(&words[start..]).map(|n| start + n) else { continue };
            if found.last().is_none_or(|last| end > last.end) {
                found.push(start..end);
            }
        }
        found
    }

    /// The number of words of the longest n-gram that `words` begin with.
    fn longest<W: AsRef<[u32]>>(&self, words: &[W]) -> Option<usize> {
        let mut tokens = Vec::new();
        let mut longest = None;
        for (n, word) in words.iter().take(*WORDS.end()).enumerate() {
            tokens.extend_from_slice(word.as_ref());
            if self.known.contains(tokens.as_slice()) {
                longest = Some(n + 1);
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_ngram_is_found_and_none_inside_another() {
        // "by the way", "the way out" and "the way"; "way" has two tokens.
        let ngrams: Ngrams =
            [vec![1, 2, 30, 31], vec![2, 30, 31, 4], vec![2, 30, 31]].into_iter().collect();
        let words = [vec![1], vec![2], vec![30, 31], vec![4], vec![2], vec![30, 31]];
        assert_eq!(ngrams.find(&words), [0..3, 1..4, 4..6]);
        assert!(ngrams.find(&words[..1]).is_empty());
    }
}
