//! Augmentation of Tang et al. 2019 (section 3.3; `augment_data.py`).

use corpus::{below, keyed_rng, uniform};
use rand_chacha::ChaCha8Rng;

use crate::row::{Behaviour, TextRow, distinct};
use crate::speech::{Lexicon, Unigrams};
use crate::words::Words;

/// Variants by masks, words of the same part of speech, and n-grams.
#[derive(Clone, Debug, PartialEq)]
pub struct Tang {
    /// Variants of a row. The paper: 20 of a sentence, 10 of a pair.
    pub iterations: usize,
    /// Probability that a word is masked. The paper: 0.1.
    pub mask: f64,
    /// Probability that a word is replaced. The paper: 0.1.
    pub replace: f64,
    /// Probability that a sentence is cut to an n-gram. The paper: 0.25; the authors' code: 0.
    pub ngram: f64,
    /// The text of the mask token.
    pub mask_text: String,
    /// Whether the paper or the authors' code is followed.
    pub behaviour: Behaviour,
}

/// The most words of an n-gram.
const NGRAM: usize = 5;

/// A sentence with the tags of its words.
struct TaggedWords<'a> {
    words: Words<'a>,
    tags: Vec<&'a str>,
}

impl<'a> TaggedWords<'a> {
    fn new(text: &'a str, tagger: &'a Lexicon) -> Self {
        let words = Words::new(text);
        Self { tags: tagger.tags(&words), words }
    }
}

/// Which sentences of a pair are varied.
struct Varied {
    first: bool,
    second: bool,
}

impl Varied {
    const FIRST: Self = Self { first: true, second: false };
    const SECOND: Self = Self { first: false, second: true };
    const BOTH: Self = Self { first: true, second: true };
}

impl Tang {
    /// The row and its variants, without duplicates. Of a pair the first, the second and both
    /// sentences are varied in turn; in the authors' code both with probability 1/3, else one of
    /// them. The authors' code drops a variant with a wholly masked sentence.
    pub fn variants(
        &self,
        row: &TextRow,
        number: u64,
        seed: u64,
        tagger: &Lexicon,
        unigrams: &Unigrams,
    ) -> Vec<TextRow> {
        let first = TaggedWords::new(&row.first, tagger);
        let second = row.second.as_deref().map(|second| TaggedWords::new(second, tagger));

        let variant = |iteration: usize| -> Option<TextRow> {
            let mut rng = keyed_rng("augment", seed, number, iteration as u64);
            let mut variant = row.clone();
            let Some(second) = &second else {
                variant.first = self.vary(&first, unigrams, &mut rng)?;
                return Some(variant);
            };

            let varied = self.varied_of_pair(iteration, &mut rng);
            if varied.first {
                variant.first = self.vary(&first, unigrams, &mut rng)?;
            }
            if varied.second {
                variant.second = Some(self.vary(second, unigrams, &mut rng)?);
            }
            Some(variant)
        };
        distinct(row, (0..self.iterations).filter_map(variant))
    }

    fn varied_of_pair(&self, iteration: usize, rng: &mut ChaCha8Rng) -> Varied {
        match self.behaviour {
            Behaviour::Clean => match iteration % 3 {
                0 => Varied::FIRST,
                1 => Varied::SECOND,
                _ => Varied::BOTH,
            },
            Behaviour::Authors if below(3, rng) == 0 => Varied::BOTH,
            Behaviour::Authors if below(2, rng) == 0 => Varied::FIRST,
            Behaviour::Authors => Varied::SECOND,
        }
    }

    /// The sentence with some of its words masked or replaced, or an n-gram of it; none where
    /// nothing is left.
    fn vary(
        &self,
        sentence: &TaggedWords<'_>,
        unigrams: &Unigrams,
        rng: &mut ChaCha8Rng,
    ) -> Option<String> {
        let TaggedWords { words, tags } = sentence;
        let mut varied: Vec<&str> = words.iter().collect();
        let mut masked = 0;
        for (word, tag) in varied.iter_mut().zip(tags) {
            let draw = uniform(rng);
            if draw < self.mask {
                *word = &self.mask_text;
                masked += 1;
            } else if draw < self.mask + self.replace {
                *word = unigrams.draw(tag, rng).unwrap_or(word);
            }
        }

        let n = words.len();
        if n > 0 && masked == n && self.behaviour == Behaviour::Authors {
            return None;
        }
        if n > 0 && uniform(rng) < self.ngram {
            return self.cut(words, &varied, rng);
        }
        Some(words.with(&varied))
    }

    /// A random n-gram of the sentence with the words `varied`.
    fn cut(&self, words: &Words<'_>, varied: &[&str], rng: &mut ChaCha8Rng) -> Option<String> {
        let n = words.len();
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
        Some(words.window(start..(start + length).min(n), varied))
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
    fn masks_have_the_given_probability_and_ngrams_any_length() {
        let (tagger, text) = (tagger(), vec!["word"; 100].join(" "));
        let words = unigrams(&tagger);
        let original = row(&text, None);
        let (masking, cutting) =
            (Tang { iterations: 1, ..tang(0.1, 0.0, 0.0) }, tang(0.5, 0.0, 1.0));

        let (mut masks, mut lengths) = (0usize, Vec::new());
        for number in 0..50 {
            let masked = masking.variants(&original, number, 1, &tagger, &words);
            masks += masked[1].first.matches("[MASK]").count();
            let cut = cutting.variants(&original, number, 1, &tagger, &words);
            lengths.extend(cut[1..].iter().map(|row| row.first.split(' ').count()));
        }

        // A bound of five standard deviations for the share 0.1 of 5,000 draws.
        assert!((masks as f64 / 5_000.0 - 0.1).abs() < 0.0212, "{masks}");
        assert_eq!(lengths.iter().copied().collect::<HashSet<_>>(), (1..=5).collect());
    }

    #[test]
    fn an_ngram_may_end_with_the_sentence_and_in_the_authors_code_never_does() {
        let (tagger, original) = (tagger(), row("one two three four five six seven", None));
        let words = unigrams(&tagger);
        let last_words_are_kept = |behaviour| {
            let tang = Tang { behaviour, ..tang(0.0, 0.0, 1.0) };
            let variants = |seed| tang.variants(&original, 0, seed, &tagger, &words).split_off(1);
            (0..100).flat_map(variants).any(|row| row.first.ends_with("seven"))
        };
        assert!(last_words_are_kept(Behaviour::Clean));
        assert!(!last_words_are_kept(Behaviour::Authors));
    }

    #[test]
    fn pairs_are_varied_in_the_first_the_second_and_both() {
        let (tagger, original) = (tagger(), row("cat", Some("dog")));
        let words = unigrams(&tagger);
        for behaviour in [Behaviour::Clean, Behaviour::Authors] {
            let tang = Tang { behaviour, iterations: 30, ..tang(1.0, 0.0, 0.0) };
            let found = tang.variants(&original, 0, 1, &tagger, &words);

            let mask = "[MASK]";
            // The authors' code drops a wholly masked sentence.
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
