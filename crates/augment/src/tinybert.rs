//! TinyBERT's augmentation (Jiao et al. 2020, algorithm 1; `data_augmentation.py`).

use corpus::{below, keyed_rng, uniform};

use crate::candidates::Candidates;
use crate::row::{Behaviour, TextRow, distinct};
use crate::words::Words;

/// Copies with words replaced by their candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tinybert {
    /// Copies of each sentence of a row. The paper: 20; see [`copies_of`].
    pub copies: usize,
    /// Probability that a word is replaced. The paper: 0.4.
    pub probability: f64,
    /// Whether the paper or the authors' code is followed.
    pub behaviour: Behaviour,
}

/// The authors' number of copies for a task of GLUE.
pub fn copies_of(task: &str) -> Option<usize> {
    match task.to_lowercase().as_str() {
        "cola" | "mrpc" | "rte" | "sts-b" => Some(30),
        "sst-2" | "qnli" => Some(20),
        "mnli" | "qqp" => Some(10),
        _ => None,
    }
}

impl Tinybert {
    /// The row and its variants, without duplicates. Of a pair one sentence is varied at a time,
    /// the other stays the original. In the authors' code, variants of the second sentence stand
    /// beside the last variant of the first.
    pub fn variants(
        &self,
        row: &TextRow,
        number: u64,
        seed: u64,
        candidates: &[Candidates; 2],
    ) -> Vec<TextRow> {
        let varied = |which: usize, text: &str| -> Vec<String> {
            let key = |copy: usize| [seed, number, (2 * copy + which) as u64];
            (0..self.copies).map(|copy| self.copy(text, &candidates[which], key(copy))).collect()
        };

        let firsts = varied(0, &row.first);
        let beside = match (self.behaviour, firsts.last()) {
            (Behaviour::Authors, Some(last)) => last.clone(),
            _ => row.first.clone(),
        };
        let seconds = row.second.iter().flat_map(|second| varied(1, second));

        let seconds = seconds.map(|second| TextRow { first: beside.clone(), second: Some(second) });
        let firsts = firsts.into_iter().map(|first| TextRow { first, second: row.second.clone() });
        distinct(row, firsts.chain(seconds))
    }

    /// `text` with some of its words replaced, under the random key (seed, row, copy).
    fn copy(&self, text: &str, candidates: &Candidates, [seed, number, copy]: [u64; 3]) -> String {
        let mut rng = keyed_rng("augment", seed, number, copy);
        let words = Words::new(text);

        let mut replaced: Vec<&str> = words.iter().collect();
        for (word, candidates) in replaced.iter_mut().zip(candidates) {
            if uniform(&mut rng) < self.probability && !candidates.is_empty() {
                *word = &candidates[below(candidates.len(), &mut rng)];
            }
        }

        words.with(&replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(first: &str, second: Option<&str>) -> TextRow {
        TextRow { first: first.to_owned(), second: second.map(str::to_owned) }
    }

    fn candidates(words: &[&[&str]]) -> Candidates {
        words.iter().map(|words| words.iter().map(|word| (*word).to_owned()).collect()).collect()
    }

    #[test]
    fn the_original_comes_first_and_nothing_twice() {
        let both = [candidates(&[&["one", "two"], &[]]), Vec::new()];
        for seed in 0..50 {
            let tinybert = Tinybert { copies: 20, probability: 0.4, behaviour: Behaviour::Clean };
            let found = tinybert.variants(&row("a dog.", None), 3, seed, &both);
            assert_eq!(found[0], row("a dog.", None));

            let mut variants = found[1..].iter().map(|variant| variant.first.as_str());
            assert!(variants.all(|variant| ["one dog.", "two dog."].contains(&variant)));
            assert!(found.len() <= 3 && (1..found.len()).all(|i| !found[..i].contains(&found[i])));
        }
    }

    #[test]
    fn words_are_replaced_with_the_given_probability_and_candidates_are_drawn_uniformly() {
        let words: Vec<&str> = vec!["x"; 200];
        let text = words.join(" ");
        let many = vec![vec!["b".to_owned(), "c".to_owned()]; 200];
        let tinybert = Tinybert { copies: 1, probability: 0.4, behaviour: Behaviour::Clean };

        let (mut replaced, mut first) = (0, 0);
        for number in 0..100 {
            let found =
                tinybert.variants(&row(&text, None), number, 7, &[many.clone(), Vec::new()]);
            replaced += found[1].first.split(' ').filter(|word| *word != "x").count();
            first += found[1].first.split(' ').filter(|word| *word == "b").count();
        }

        // Bounds of five standard deviations: 0.0173 for the share 0.4 of 20,000 draws, 0.028 for
        // one half of 8,000.
        assert!((replaced as f64 / 20_000.0 - 0.4).abs() < 0.0173, "{replaced}");
        assert!((first as f64 / replaced as f64 - 0.5).abs() < 0.028, "{first} of {replaced}");
    }

    #[test]
    fn of_a_pair_one_sentence_is_varied_at_a_time() {
        let both = [candidates(&[&["cat"]]), candidates(&[&["fish"]])];
        let found = |behaviour| {
            let tinybert = Tinybert { copies: 3, probability: 1.0, behaviour };
            tinybert.variants(&row("dog", Some("bird")), 0, 1, &both)
        };

        let original = row("dog", Some("bird"));
        let clean = [original.clone(), row("cat", Some("bird")), row("dog", Some("fish"))];
        assert_eq!(found(Behaviour::Clean), clean);
        assert_eq!(
            found(Behaviour::Authors),
            [original, row("cat", Some("bird")), row("cat", Some("fish"))]
        );
    }

    #[test]
    fn copies_are_the_authors() {
        assert_eq!(["CoLA", "mnli", "SST-2"].map(copies_of), [Some(30), Some(10), Some(20)]);
        assert_eq!(copies_of("imdb"), None);
    }
}
