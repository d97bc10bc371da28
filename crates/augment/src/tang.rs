//! Augmentation of Tang et al. 2019 (section 3.3; `augment_data.py`).

use corpus::{below, keyed_rng, uniform};
use rand_chacha::ChaCha8Rng;

use crate::row::{Behaviour, TextRow, distinct};
use crate::speech::{Lexicon, Unigrams};
use crate::words::Words;

/// Masks, words of the same part of speech, and n-grams.
#[derive(Clone, Debug, PartialEq)]
pub struct Tang {
    /// Variants of a row. The paper: 20 of a sentence, 10 of a pair.
    pub iterations: usize,
    /// How often a word is masked. The paper: 0.1.
    pub mask: f64,
    /// How often it is replaced. The paper: 0.1.
    pub replace: f64,
    /// How often only an n-gram is kept. The paper: 0.25; the authors' code: 0.
    pub ngram: f64,
    /// The text of the mask token.
    pub mask_text: String,
    /// The paper's or the authors' code's.
    pub behaviour: Behaviour,
}

/// Words of an n-gram.
const NGRAM: usize = 5;

impl Tang {
    /// The row and its variants, each once. Of a pair the first, the second and both sentences are
    /// varied in turn; in the authors' code both with probability 1/3, else one of them. The
    /// authors leave out what is wholly masked.
    pub fn variants(
        &self,
        row: &TextRow,
        number: u64,
        seed: u64,
        tagger: &Lexicon,
        words: &Unigrams,
    ) -> Vec<TextRow> {
        let sentences = [Some(row.first.as_str()), row.second.as_deref()];
        let sentences = sentences
            .map(|text| text.map(|text| (Words::new(text), tagger.tags(&Words::new(text)))));
        let vary = |which: usize, rng: &mut ChaCha8Rng| match &sentences[which] {
            Some((sentence, tags)) => self.vary(sentence, tags, words, rng),
            None => None,
        };
        let variant = |iteration: usize| -> Option<TextRow> {
            let mut rng = keyed_rng("augment", seed, number, iteration as u64);
            let [first, second] = match (&row.second, self.behaviour) {
                (None, _) => [true, false],
                (Some(_), Behaviour::Clean) => {
                    [[true, false], [false, true], [true, true]][iteration % 3]
                }
                (Some(_), Behaviour::Authors) => match below(3, &mut rng) {
                    0 => [true, true],
                    _ => {
                        let first = below(2, &mut rng) == 0;
                        [first, !first]
                    }
                },
            };
            let mut found = row.clone();
            if first {
                found.first = vary(0, &mut rng)?;
            }
            if second {
                found.second = Some(vary(1, &mut rng)?);
            }
            Some(found)
        };
        distinct(row, (0..self.iterations).filter_map(variant))
    }

    /// The sentence with some of its words masked or replaced, or an n-gram of it; none where
    /// nothing is left.
    fn vary(
        &self,
        sentence: &Words<'_>,
        tags: &[&str],
        words: &Unigrams,
        rng: &mut ChaCha8Rng,
    ) -> Option<String> {
        let n = sentence.len();
        let mut varied: Vec<&str> = sentence.iter().collect();
        let mut masked = 0;
        for (word, tag) in varied.iter_mut().zip(tags) {
            let draw = uniform(rng);
            if draw < self.mask {
                *word = &self.mask_text;
                masked += 1;
            } else if draw < self.mask + self.replace {
                *word = words.draw(tag, rng).unwrap_or(word);
            }
        }
        if n > 0 && masked == n && self.behaviour == Behaviour::Authors {
            return None;
        }
        if n > 0 && uniform(rng) < self.ngram {
            let length = 1 + below(NGRAM, rng);
            let starts = match self.behaviour {
                Behaviour::Clean => n.saturating_sub(length) + 1,
                // The last start is never drawn, and a sentence that is no longer than the n-gram
                // gives nothing.
                Behaviour::Authors => n.saturating_sub(length),
            };
            if starts == 0 {
                return None;
            }
            let start = below(starts, rng);
            return Some(sentence.window(start..(start + length).min(n), &varied));
        }
        Some(sentence.with(&varied))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn tagger() -> Lexicon {
        let lines = "cat\tN\ndog\tN\nruns\tV\nsleeps\tV\nthe\tD\n";
        Lexicon::parse(lines, "lexicon").unwrap()
    }

    fn unigrams(tagger: &Lexicon) -> Unigrams {
        Unigrams::count(["the cat runs", "the dog sleeps", "the dog runs"], tagger)
    }

    fn tang(mask: f64, replace: f64, ngram: f64) -> Tang {
        Tang {
            iterations: 20,
            mask,
            replace,
            ngram,
            mask_text: "[MASK]".to_owned(),
            behaviour: Behaviour::Clean,
        }
    }

    fn row(first: &str, second: Option<&str>) -> TextRow {
        TextRow { first: first.to_owned(), second: second.map(str::to_owned) }
    }

    #[test]
    fn words_are_replaced_by_words_of_their_kind() {
        let (tagger, original) = (tagger(), row("the cat runs .", None));
        let words = unigrams(&tagger);
        let mut seen = HashSet::new();
        for seed in 0..40 {
            let found = tang(0.0, 1.0, 0.0).variants(&original, 0, seed, &tagger, &words);
            assert_eq!(found[0], original);
            seen.extend(found.into_iter().map(|row| row.first));
        }
        let all = ["cat", "dog"].map(|n| ["runs", "sleeps"].map(|v| format!("the {n} {v} .")));
        assert_eq!(seen, all.concat().into_iter().collect());
    }

    #[test]
    fn masks_and_ngrams_come_as_often_as_asked() {
        let (tagger, text) = (tagger(), vec!["word"; 100].join(" "));
        let words = unigrams(&tagger);
        let (mut masks, mut lengths) = (0usize, Vec::new());
        for number in 0..50 {
            let masked = Tang { iterations: 1, ..tang(0.1, 0.0, 0.0) }.variants(
                &row(&text, None),
                number,
                1,
                &tagger,
                &words,
            );
            masks += masked[1].first.matches("[MASK]").count();
            let cut = tang(0.5, 0.0, 1.0).variants(&row(&text, None), number, 1, &tagger, &words);
            lengths.extend(cut[1..].iter().map(|row| row.first.split(' ').count()));
        }
        // 5,000 draws: five standard deviations of 0.1 are 0.0212.
        assert!((masks as f64 / 5_000.0 - 0.1).abs() < 0.0212, "{masks}");
        assert_eq!(lengths.iter().copied().collect::<HashSet<_>>(), (1..=5).collect());
    }

    #[test]
    fn an_ngram_may_end_with_the_sentence_and_in_the_authors_code_never_does() {
        let (tagger, original) = (tagger(), row("one two three four five six seven", None));
        let words = unigrams(&tagger);
        let ends = |behaviour| {
            (0..100).any(|seed| {
                let tang = Tang { behaviour, ..tang(0.0, 0.0, 1.0) };
                tang.variants(&original, 0, seed, &tagger, &words)[1..]
                    .iter()
                    .any(|row| row.first.ends_with("seven"))
            })
        };
        assert!(ends(Behaviour::Clean));
        assert!(!ends(Behaviour::Authors));
    }

    #[test]
    fn pairs_are_varied_in_the_first_the_second_and_both() {
        let (tagger, original) = (tagger(), row("cat", Some("dog")));
        let words = unigrams(&tagger);
        for behaviour in [Behaviour::Clean, Behaviour::Authors] {
            let tang = Tang { behaviour, iterations: 30, ..tang(1.0, 0.0, 0.0) };
            let found = tang.variants(&original, 0, 1, &tagger, &words);
            let mask = "[MASK]";
            // The authors leave out a sentence that is wholly masked.
            let want = match behaviour {
                Behaviour::Clean => {
                    vec![
                        original.clone(),
                        row(mask, Some("dog")),
                        row("cat", Some(mask)),
                        row(mask, Some(mask)),
                    ]
                }
                Behaviour::Authors => vec![original.clone()],
            };
            assert_eq!(found, want);
        }
    }

    #[test]
    fn a_text_without_words_is_left_alone() {
        let tagger = tagger();
        let found =
            tang(0.5, 0.5, 1.0).variants(&row("...", None), 0, 1, &tagger, &unigrams(&tagger));
        assert_eq!(found, [row("...", None)]);
    }
}
