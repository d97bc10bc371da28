//! N-grams that are masked together.

use corpus::Ngrams;

use super::super::knobs::Unit;
use super::super::units::joined;
use super::*;

/// Words of one token each, of which the tokens are the positions.
fn find(ngrams: &Ngrams) -> impl Fn(&[Vec<u32>]) -> Vec<std::ops::Range<usize>> {
    |run| ngrams.find(run)
}

fn ngrams(of: &[&[u32]]) -> Ngrams {
    of.iter().map(|tokens| tokens.to_vec()).collect()
}

#[test]
fn an_ngram_is_one_unit_and_the_other_words_are_units_of_their_own() {
    let words = vec![vec![1], vec![2, 3], vec![4], vec![5]];
    let known = ngrams(&[&[2, 3, 4]]);
    let units = joined(words, find(&known), &mut rng(1));
    assert_eq!(units, [vec![1], vec![2, 3, 4], vec![5]]);
}

#[test]
fn words_with_something_between_them_are_no_ngram() {
    let known = ngrams(&[&[1, 3]]);
    assert_eq!(joined(vec![vec![1], vec![3]], find(&known), &mut rng(1)).len(), 2);
}

#[test]
fn of_two_ngrams_that_overlap_each_is_taken_half_of_the_time() {
    let known = ngrams(&[&[1, 2, 3], &[2, 3, 4]]);
    let words = || vec![vec![1], vec![2], vec![3], vec![4]];
    let takes_first = |seed| {
        let units = joined(words(), find(&known), &mut rng(seed));
        assert_eq!(units.concat(), [1, 2, 3, 4]);
        assert_eq!(units.len(), 2);
        units[0].len() == 3
    };
    let firsts = (0..2000).filter(|seed| takes_first(*seed)).count();
    assert!(near(firsts as f64, 2000.0, 0.5), "{firsts}");
}

#[test]
fn an_ngram_is_chosen_as_a_whole_and_replaced_as_a_whole() {
    let masker = masker(Family::Pmi, 128);
    let tokens: Vec<u32> = [CLS].into_iter().chain(21..61).chain([SEP]).collect();
    let row = (tokens.clone(), vec![true; tokens.len()]);
    for seed in 0..200 {
        let masked = mask(&masker, &row, seed);
        let chosen = chosen(&masked);
        assert_eq!(masked.targets.len(), 6, "15 % of 42 tokens, and pairs of them fit");

        // Runs of chosen tokens have an even length, since every word is in a pair.
        let positions: Vec<usize> = (0..chosen.len()).filter(|i| chosen[*i]).collect();
        for pair in positions.chunks(2) {
            assert_eq!(pair[1], pair[0] + 1);
            let same = |i: usize| {
                masked
                    .targets
                    .iter()
                    .find(|target| target.position as usize == i)
                    .map(|t| t.replacement)
            };
            assert_eq!(same(pair[0]), same(pair[1]));
        }
    }
}

#[test]
fn without_ngrams_the_unit_is_refused() {
    let vocabulary = Vocabulary { ngrams: None, ..vocabulary() };
    let masking = Masking { unit: Unit::Pmi, ..Masking::default() };
    let error = Masker::new(masking, vocabulary, 128).expect_err("refused").to_string();
    assert!(error.contains("corpus ngrams"), "{error}");
}
