//! SpanBERT's spans.

use super::super::config::Masking;
use super::super::draw::{Cumulative, span_lengths};
use super::super::knobs::{Family, Unit};
use super::super::masker::MaskInput;
use super::super::replace::Replacement;
use super::super::units;
use super::{chosen, mask, masker, masker_of, near, rng, sequence, words};

#[test]
fn lengths_are_the_published_truncated_geometric() {
    let published =
        [0.2241, 0.1792, 0.1434, 0.1147, 0.0918, 0.0734, 0.0587, 0.0470, 0.0376, 0.0301];
    let lengths = span_lengths(10, 0.2);
    let p = lengths.probabilities();
    assert!(p.iter().zip(published).all(|(p, published)| (p - published).abs() <= 5e-5), "{p:?}");
    let mean: f64 = p.iter().zip(1..).map(|(p, l)| p * f64::from(l)).sum();
    assert!((mean - 3.7971).abs() < 5e-5, "{mean}");
    let mut hits = [0.0; 10];
    let rng = &mut rng(3);
    (0..200_000).for_each(|_| hits[lengths.draw(rng)] += 1.0);
    assert!(hits.iter().zip(p).all(|(hits, p)| near(*hits, 200_000.0, p)), "{hits:?}");
}

#[test]
fn a_span_starts_with_a_word_and_is_cut_where_the_budget_ends() {
    for seed in 0..50 {
        assert_eq!(
            units::spans(&[vec![1, 2, 3, 4]], &span_lengths(10, 0.2), 2, &mut rng(seed)),
            [[1, 2]]
        );
    }
}

#[test]
fn a_span_stops_where_a_token_may_not_be_chosen() {
    // Always ten words. A span from 2 would go on to 4, were 3 not in between; so there is room for
    // another one.
    let always_ten = Cumulative::new([0.0; 9].into_iter().chain([1.0]));
    let of: Vec<Vec<u32>> =
        [1, 2].into_iter().chain(4..20).map(|position| vec![position]).collect();
    let outcomes: Vec<_> =
        (0..500).map(|seed| units::spans(&of, &always_ten, 2, &mut rng(seed))).collect();
    assert!(outcomes.iter().any(|spans| spans[0] == [2] && spans[1][0] > 4));
}

#[test]
fn the_budget_is_met_and_spans_stand_apart() {
    let lengths = span_lengths(10, 0.2);
    for seed in 0..300 {
        let row = sequence(5 + seed as usize, seed);
        let content: Vec<Vec<u32>> = words(&row)
            .into_iter()
            .filter(|word| word[0] > 0 && word[0] + 1 < row.0.len())
            .map(|word| word.into_iter().map(|position| position as u32).collect())
            .collect();
        let budget = (15 * (row.0.len() - 2)).div_ceil(100);
        let spans = units::spans(&content, &lengths, budget, &mut rng(seed));
        assert_eq!(spans.iter().map(Vec::len).sum::<usize>(), budget);
        assert!(spans.iter().all(|span| span.windows(2).all(|pair| pair[0] + 1 == pair[1])));
        assert!(spans.windows(2).all(|pair| pair[0][pair[0].len() - 1] + 1 < pair[1][0]));
    }
}

#[test]
fn only_the_last_word_is_cut() {
    let masker = masker(Family::Spanbert, 512);
    for seed in 0..300 {
        let row = sequence(200, seed);
        let chosen = chosen(&mask(&masker, &row, seed));
        let cut = words(&row)
            .iter()
            .filter(|word| word.iter().any(|i| chosen[*i] != chosen[word[0]]))
            .count();
        assert!(cut <= 1, "{cut} words are cut");
    }
}

#[test]
fn each_span_has_one_kind_of_replacement() {
    let masker = masker(Family::Spanbert, 512);
    let mut kinds = [0; 3];
    for seed in 0..300 {
        let masked = mask(&masker, &sequence(200, seed), seed);
        for pair in
            masked.targets.windows(2).filter(|pair| pair[0].position + 1 == pair[1].position)
        {
            assert_eq!(pair[0].replacement, pair[1].replacement);
            kinds[pair[0].replacement as usize] += 1;
        }
    }
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
}

#[test]
fn each_token_of_a_random_span_has_its_own_draw() {
    let masker =
        masker_of(Masking { mask: 0.0, random: 1.0, ..Masking::of(Family::Spanbert) }, 512);
    let masked = mask(&masker, &sequence(200, 1), 1);
    assert!(masked.targets.iter().all(|target| target.replacement == Replacement::Random));
    let mut drawn: Vec<u32> =
        masked.targets.iter().map(|target| masked.tokens[target.position as usize]).collect();
    drawn.sort_unstable();
    drawn.dedup();
    assert!(drawn.len() > 10, "{} different tokens of 30", drawn.len());
}

#[test]
fn at_bert_length_spans_are_as_many_and_as_long_as_simulated() {
    // A Python re-implementation of pair_span at n = 510 with one piece per word: 19.5 merged spans
    // of 3.94 tokens.
    let of: Vec<Vec<u32>> = (0..510).map(|position| vec![position]).collect();
    let lengths = span_lengths(10, 0.2);
    let counts: Vec<usize> =
        (0..2000).map(|seed| units::spans(&of, &lengths, 77, &mut rng(seed)).len()).collect();
    let mean = counts.iter().sum::<usize>() as f64 / 2000.0;
    // The published digit, and five standard errors: about 3 / sqrt(2000).
    assert!((mean - 19.5).abs() < 0.05 + 5.0 * 3.0 / 2000f64.sqrt(), "{mean}");
}

#[test]
fn annotated_spans_are_chosen_half_of_the_time_and_whole() {
    // 40 words; positions 8 to 11 and 20 to 23 are annotated.
    let tokens: Vec<u32> = (10..50).collect();
    let mut spans = vec![0; 40];
    spans[8..12].fill(1);
    spans[20..24].fill(2);
    let masking = Masking { unit: Unit::Annotated, rate: 0.1, ..Masking::of(Family::Spanbert) };
    let masker = masker_of(masking, 128);
    let (mut inside, mut all) = (0, 0);
    for seed in 0..2000 {
        let row = MaskInput {
            tokens: &tokens,
            word_starts: &[true; 40],
            spans: &spans,
            weights: None,
            progress: 1.0,
        };
        let masked = masker.mask(&row, &mut rng(seed));
        assert_eq!(masked.targets.len(), 4, "the budget is met to the token");
        all += masked.targets.len();
        inside +=
            masked.targets.iter().filter(|target| spans[target.position as usize] > 0).count();
    }
    // With b tokens left, f(b) = b / 2 + (1/5 + f(b - 1)) / 2 of them are inside, a word being
    // inside by chance one time in five: f(4) = 3.25, which single words alone would make 0.8.
    let share = inside as f64 / all as f64;
    assert!((share - 3.25 / 4.0).abs() < 0.02, "{share}");
}
