//! Whole words and n-grams.

use super::super::draw::{Cumulative, ngram_lengths};
use super::super::knobs::Family;
use super::super::units;
use super::{CLS, FIRST, SEP, chosen, mask, masker, near, rng, sequence, words};

#[test]
fn words_are_whole() {
    for family in [
        Family::BertWholeWord,
        Family::HuggingfaceWholeWord,
        Family::RobertaWholeWord,
        Family::Albert,
    ] {
        let masker = masker(family, 128);
        for seed in 0..500 {
            let row = sequence(3 + seed as usize % 150, seed);
            let chosen = chosen(&mask(&masker, &row, seed));
            for word in words(&row) {
                assert!(
                    word.iter().all(|position| chosen[*position] == chosen[word[0]]),
                    "{family:?}, seed {seed}"
                );
            }
        }
    }
}

#[test]
fn special_tokens_never_join_their_neighbours() {
    // A piece after a separator is no part of the word before it, though no word begins there.
    let row = (vec![CLS, FIRST, SEP, FIRST, SEP], vec![true, true, false, false, false]);
    for seed in 0..50 {
        assert_eq!(mask(&masker(Family::BertWholeWord, 128), &row, seed).targets.len(), 1);
    }
}

#[test]
fn a_word_that_does_not_fit_is_passed_over() {
    let of = vec![vec![1], vec![2, 3, 4], vec![5]];
    for seed in 0..50 {
        let mut chosen = units::words(of.clone(), 2, &mut rng(seed));
        chosen.sort();
        assert_eq!(chosen, [[1], [5]]);
    }
}

#[test]
fn no_word_is_left_that_would_have_fitted() {
    let masker = masker(Family::BertWholeWord, 4096);
    for seed in 0..300 {
        let len = 10 + seed as usize % 100;
        let row = sequence(len, seed);
        let masked = mask(&masker, &row, seed);
        let left = (0.15 * len as f64).round_ties_even() as usize - masked.targets.len();
        let chosen = chosen(&masked);
        let words = words(&row);
        assert!(words[1..words.len() - 1].iter().all(|word| chosen[word[0]] || word.len() > left));
    }
}

#[test]
fn fairseqs_whole_words_are_counted_in_words() {
    let masker = masker(Family::RobertaWholeWord, 4096);
    for seed in 0..300 {
        let row = sequence(100, seed);
        let chosen = chosen(&mask(&masker, &row, seed));
        let words = words(&row);
        let hit = words.iter().filter(|word| chosen[word[0]]).count();
        let exact = 0.15 * words.len() as f64;
        assert!(
            hit == exact.floor() as usize || hit == exact.ceil() as usize,
            "{hit} of {}",
            words.len()
        );
    }
}

#[test]
fn ngram_lengths_are_alberts() {
    let p = ngram_lengths(3).probabilities();
    let mean: f64 = p.iter().zip(1..).map(|(p, n)| p * f64::from(n)).sum();
    assert!((mean - 18.0 / 11.0).abs() < 1e-12, "{mean}");
    assert!(
        p.iter().zip([6.0, 3.0, 2.0]).all(|(p, of_eleven)| (p - of_eleven / 11.0).abs() < 1e-12),
        "{p:?}"
    );
}

#[test]
fn ngrams_are_as_long_as_drawn_and_renormalised_at_the_end() {
    let of: Vec<Vec<u32>> = (0..6).map(|position| vec![position]).collect();
    let mut hits = [[0.0; 3]; 3];
    for seed in 0..60_000 {
        let first = &units::ngrams(&of, &ngram_lengths(3), 3, 3, &mut rng(seed))[0];
        hits[first[0].saturating_sub(3) as usize][first.len() - 1] += 1.0;
    }
    for (hits, p) in hits.iter().zip([
        [6.0 / 11.0, 3.0 / 11.0, 2.0 / 11.0],
        [2.0 / 3.0, 1.0 / 3.0, 0.0],
        [1.0, 0.0, 0.0],
    ]) {
        let n = hits.iter().sum();
        assert!(hits.iter().zip(p).all(|(hits, p)| near(*hits, n, p)), "{hits:?}");
    }
}

#[test]
fn an_ngram_that_does_not_fit_is_shortened_then_passed_over() {
    let always_two = Cumulative::new([0.0, 1.0].into_iter());
    let of = vec![vec![1], vec![2, 3, 4, 5], vec![6, 7, 8]];
    for seed in 0..50 {
        assert_eq!(units::ngrams(&of, &always_two, 2, 2, &mut rng(seed)), [[1]]);
    }
}

#[test]
fn ngrams_do_not_overlap() {
    let of: Vec<Vec<u32>> =
        (0..40).map(|word| (2 * word..2 * word + 1 + word % 2).collect()).collect();
    for seed in 0..300 {
        let mut positions = units::ngrams(&of, &ngram_lengths(3), 3, 15, &mut rng(seed)).concat();
        assert!(positions.len() <= 15 && !positions.is_empty());
        positions.sort_unstable();
        assert!(positions.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
