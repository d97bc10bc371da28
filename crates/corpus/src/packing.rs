//! How consecutive sentences are packed up to a length.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::random::{keyed_rng, uniform};

/// Whether a passage may go on into the next document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Across {
    /// A passage is of one document (RoBERTa's DOC-SENTENCES, SpanBERT, BERT).
    #[default]
    Document,
    /// A passage is filled from one document into the next (RoBERTa's FULL-SENTENCES).
    Corpus,
}

/// How passages are packed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackingConfig {
    /// Greatest number of tokens in a passage, special tokens not counted.
    pub max_tokens: usize,
    /// Whether a passage may cross documents.
    pub across: Across,
    /// Whether the sentence that reaches the length still belongs to the passage, which the caller
    /// cuts (BERT's and ALBERT's chunks). Otherwise the passage ends before that sentence.
    pub overfill: bool,
    /// Number of tokens kept free for each document that begins inside a passage.
    pub separator_room: usize,
    /// Share of passages that aim at a length drawn uniformly from 2 to `max_tokens`. BERT: 0.1.
    pub short_share: f64,
    /// Seed of those lengths.
    pub seed: u64,
}

impl PackingConfig {
    /// The number of tokens that passage `number` aims at.
    pub(crate) fn target(&self, number: u64) -> usize {
        if self.short_share == 0.0 {
            return self.max_tokens;
        }

        let rng = &mut keyed_rng("short", self.seed, number, 0);
        let short = uniform(rng) < self.short_share;
        if short {
            2 + (uniform(rng) * (self.max_tokens - 1) as f64) as usize
        } else {
            self.max_tokens
        }
    }
}

/// Greedy packing: whole sentences while they fit, with overfill until the length is reached.
pub struct Packer {
    config: PackingConfig,
    /// Completed passages that the caller has not taken yet.
    pub done: Vec<Range<u64>>,
    /// Number of passages completed so far.
    finished: u64,
    open: Option<Range<u64>>,
    /// Number of tokens taken by separators in the open passage.
    separators: usize,
    /// Whether the next sentence begins a document.
    begins_document: bool,
    /// The number of tokens that the open passage aims at.
    target: usize,
}

impl Packer {
    /// A packer without passages.
    pub fn new(config: PackingConfig) -> Self {
        let target = config.target(0);
        Self {
            config,
            done: Vec::new(),
            finished: 0,
            open: None,
            separators: 0,
            begins_document: false,
            target,
        }
    }

    /// Notes that the next sentence begins a document.
    pub fn start_document(&mut self) {
        if self.config.across == Across::Document {
            self.close();
        }
        self.begins_document = true;
    }

    /// Notes that a document is left out here, which no passage may span.
    pub fn gap(&mut self) {
        self.close();
    }

    /// Ends the open passage.
    pub fn close(&mut self) {
        if let Some(range) = self.open.take() {
            self.done.push(range);
            self.finished += 1;
            self.target = self.config.target(self.finished);
        }
        self.separators = 0;
    }

    /// Packs the next sentence.
    pub fn sentence(&mut self, mut sentence: Range<u64>) {
        let PackingConfig { max_tokens, overfill, .. } = self.config;

        let fits = self.used() + self.separator() + len(&sentence) <= self.target;
        if self.open.is_some() && !fits && (!overfill || len(&sentence) > max_tokens) {
            self.close();
        }
        while len(&sentence) > self.longest_sentence() {
            let cut = sentence.start + self.longest_sentence() as u64;
            self.open = Some(sentence.start..cut);
            self.close();
            sentence.start = cut;
        }
        if sentence.is_empty() {
            self.begins_document = false;
            return;
        }

        self.separators += self.separator();
        self.begins_document = false;
        match &mut self.open {
            Some(open) => open.end = sentence.end,
            None => self.open = Some(sentence),
        }
        if overfill && self.used() >= self.target {
            self.close();
        }
    }

    /// Number of tokens in the open passage, separators included.
    fn used(&self) -> usize {
        self.open.as_ref().map_or(0, len) + self.separators
    }

    /// Number of tokens that a separator before the next sentence takes.
    fn separator(&self) -> usize {
        if self.begins_document && self.open.is_some() { self.config.separator_room } else { 0 }
    }

    /// Length above which a sentence is cut: the target of the passage or, with overfill, the
    /// greatest length of any passage.
    fn longest_sentence(&self) -> usize {
        if self.config.overfill { self.config.max_tokens } else { self.target }
    }
}

fn len(range: &Range<u64>) -> usize {
    (range.end - range.start) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(max_tokens: usize, across: Across) -> PackingConfig {
        PackingConfig {
            max_tokens,
            across,
            overfill: false,
            separator_room: 1,
            short_share: 0.0,
            seed: 0,
        }
    }

    /// Packs documents given as lengths of sentences.
    fn pack(config: PackingConfig, documents: &[&[u64]]) -> Vec<Range<u64>> {
        let (mut packer, mut at) = (Packer::new(config), 0);
        for document in documents {
            packer.start_document();
            for len in *document {
                packer.sentence(at..at + len);
                at += len;
            }
        }
        packer.close();
        packer.done
    }

    #[test]
    fn whole_sentences_are_taken_while_they_fit() {
        assert_eq!(pack(config(10, Across::Document), &[&[4, 5, 3], &[2]]), [0..9, 9..12, 12..14]);
    }

    #[test]
    fn with_overfill_the_sentence_that_reaches_the_length_is_taken() {
        let overfill =
            |max_tokens| PackingConfig { overfill: true, ..config(max_tokens, Across::Document) };
        assert_eq!(
            pack(overfill(10), &[&[4, 5, 3, 1], &[10, 9, 9], &[2]]),
            [0..12, 12..13, 13..23, 23..41, 41..43]
        );
        assert_eq!(
            pack(overfill(10), &[&[4, 25, 3]]),
            [0..4, 4..14, 14..24, 24..32],
            "except one longer than any passage"
        );

        let short = PackingConfig { short_share: 0.9, ..overfill(10) };
        let sentences = [4; 400];
        let ranges = pack(short, &[&sentences]);
        for (number, range) in ranges[..ranges.len() - 1].iter().enumerate() {
            let (len, target) = (range.end - range.start, short.target(number as u64) as u64);
            assert!(len >= target && len < target + 4, "{len} tokens for {target}");
        }
    }

    #[test]
    fn across_documents_a_separator_takes_its_room() {
        assert_eq!(pack(config(10, Across::Corpus), &[&[4], &[5], &[3]]), [0..9, 9..12]);
        assert_eq!(pack(config(9, Across::Corpus), &[&[4], &[5]]), [0..4, 4..9]);
        assert_eq!(
            pack(config(9, Across::Corpus), &[&[4, 5], &[1]]),
            [0..9, 9..10],
            "no separator inside a document"
        );
    }

    #[test]
    fn a_sentence_that_is_too_long_is_cut_and_nothing_is_lost() {
        assert_eq!(pack(config(4, Across::Document), &[&[2, 11, 1]]), [0..2, 2..6, 6..10, 10..14]);
    }

    #[test]
    fn every_token_is_in_one_passage_in_order() {
        for seed in 0..50 {
            let mut rng = keyed_rng("test", seed, 0, 0);
            let mut draw = |n: f64| (uniform(&mut rng) * n) as u64;
            let documents: Vec<Vec<u64>> = (0..1 + draw(6.0))
                .map(|_| (0..1 + draw(8.0)).map(|_| 1 + draw(30.0)).collect())
                .collect();
            let documents: Vec<&[u64]> = documents.iter().map(Vec::as_slice).collect();

            for across in [Across::Document, Across::Corpus] {
                let packing = PackingConfig { short_share: 0.3, seed, ..config(12, across) };
                let ranges = pack(packing, &documents);
                let total: u64 = documents.iter().flat_map(|document| document.iter()).sum();

                assert_eq!(ranges[0].start, 0);
                assert_eq!(ranges[ranges.len() - 1].end, total);
                assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
                assert!(ranges.iter().all(|range| (1..=12).contains(&(range.end - range.start))));
            }
        }
    }

    #[test]
    fn the_configured_share_of_passages_is_short() {
        let sentences = vec![1u64; 200_000];
        let packing = PackingConfig { short_share: 0.1, ..config(100, Across::Document) };
        let ranges = pack(packing, &[&sentences]);
        let short = ranges.iter().filter(|range| range.end - range.start < 100).count() as f64;
        let share = short / ranges.len() as f64;
        // About 2,100 passages: one standard deviation is 0.0065.
        assert!((share - 0.1 * 98.0 / 99.0).abs() < 0.03, "{share}");
    }
}
