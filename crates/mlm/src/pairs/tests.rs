//! Properties of pairs and of the sequences that they become.

use corpus::{Passage, Specials, below};
use objective::{Example, Purpose};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::pairing::{Answer, Pair, PairLabels, Pairing, truncate};
use super::sentences::sentence_ends;
use crate::layout::Segment;

fn passage(number: u64, sentences: &[usize], first: u32) -> Passage {
    let n: usize = sentences.iter().sum();
    let mut at = 0;
    let mut sentence_starts = Vec::new();
    for len in sentences {
        sentence_starts.push(at);
        at += *len as u32;
    }
    Passage::of_words(number, (0..n as u32).map(|i| first + i).collect(), sentence_starts)
}

fn example(sentences: &[usize]) -> Example {
    let partner = Some(passage(9, &[3, 4, 5], 500));
    Example {
        passage: passage(0, sentences, 100),
        seed: 1,
        epoch: 0,
        partner,
        label: None,
        teacher_logits: None,
        progress: 1.0,
        token_weights: None,
        piece: 0,
    }
}

fn pairing(labels: PairLabels, compat: bool) -> Pairing {
    Pairing { labels, max_tokens: 29, compat }
}

fn pair(pairing: Pairing, example: &Example, answer: Answer, seed: u64) -> Pair {
    pairing.pair(example, answer, &mut ChaCha8Rng::seed_from_u64(seed))
}

#[test]
fn swapped_pairs_are_labelled_one_and_are_the_others_turned_round() {
    let order = pairing(PairLabels::SentenceOrder, false);
    for seed in 0..50 {
        let right = pair(order, &example(&[4, 5, 6]), Answer::Fixed(0), seed);
        let wrong = pair(order, &example(&[4, 5, 6]), Answer::Fixed(1), seed);
        assert_eq!((right.label, wrong.label), (Some(0), Some(1)));
        assert_eq!(
            (Some(&right.first), right.second.as_ref()),
            (wrong.second.as_ref(), Some(&wrong.first))
        );
        let whole = [right.first.tokens, right.second.expect("a pair").tokens].concat();
        assert_eq!(
            whole,
            (100..115).collect::<Vec<u32>>(),
            "both segments together are the passage"
        );
        assert!([4, 9].contains(&wrong.second.expect("a pair").len()), "cut after a sentence");
    }
}

#[test]
fn swapping_comes_before_truncation() {
    let order = Pairing { max_tokens: 19, ..pairing(PairLabels::SentenceOrder, true) };
    for seed in 0..20 {
        let halves = |answer| {
            let pair = pair(order, &example(&[10, 10]), Answer::Fixed(answer), seed);
            (pair.first.tokens, pair.second.expect("a pair").tokens)
        };
        // Of two that are equally long the one that stands second gives.
        let (first, second) = halves(0);
        assert_eq!((first, second.len()), ((100..110).collect::<Vec<u32>>(), 9));
        let (first, second) = halves(1);
        assert_eq!((first, second.len()), ((110..120).collect::<Vec<u32>>(), 9));
        assert!(second.iter().all(|token| *token < 110));
    }
}

#[test]
fn a_false_continuation_is_of_another_document_and_as_long_as_the_true_one() {
    let next = pairing(PairLabels::NextSentence, false);
    for seed in 0..50 {
        let right = pair(next, &example(&[4, 5, 6]), Answer::Fixed(0), seed);
        let wrong = pair(next, &example(&[4, 5, 6]), Answer::Fixed(1), seed);
        assert_eq!((right.label, wrong.label), (Some(0), Some(1)));
        assert_eq!(right.first, wrong.first);
        let (right, wrong) =
            (right.second.expect("a pair").tokens, wrong.second.expect("a pair").tokens);
        // 6 or 11 tokens; of the partner's runs 7 (3 + 4) or 5, and 12 are the nearest.
        assert_eq!(wrong.len(), right.len());
        assert!([5, 6, 11].contains(&right.len()), "{}", right.len());
        assert!(wrong.iter().all(|token| *token >= 500) && right.iter().all(|token| *token < 500));
        assert!([500, 503, 507].contains(&wrong[0]), "begins with a sentence");
    }
}

/// Whether a segment is cut inside a sentence must tell as little of the answer as its length
/// does.
#[test]
fn as_many_true_continuations_as_false_ones_end_with_their_sentence() {
    let next = Pairing { max_tokens: 60, ..pairing(PairLabels::NextSentence, false) };
    let (mut ends, mut lost, mut all) = ([0, 0], 0, 0);
    for seed in 0..4000 {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let mut sentences = |most: usize| {
            let mut lengths = Vec::new();
            while lengths.iter().sum::<usize>() < most {
                lengths.push(3 + below(20, rng));
            }
            lengths
        };

        let (mut here, there) = (sentences(60), sentences(60));
        here.pop();
        let (passage, partner) = (passage(0, &here, 100), Some(passage(9, &there, 500)));
        let example = Example { partner, passage, ..example(&[1]) };

        for answer in [0, 1] {
            let text = if answer == 0 {
                &example.passage
            } else {
                example.partner.as_ref().expect("a partner")
            };
            let Some(second) = pair(next, &example, Answer::Fixed(answer), seed).second else {
                continue;
            };
            let after = (second.tokens[second.len() - 1] + 1 - text.tokens[0]) as usize;
            ends[answer as usize] += usize::from(sentence_ends(text).any(|end| end == after));
            if answer == 0 {
                all += text.tokens.len();
                lost += text.tokens.len() - after;
            }
        }
    }

    let shares = ends.map(|ends| ends as f64 / 4000.0);
    // Two shares of 4,000 differ by 0.011 (one standard deviation) where they are equal.
    assert!((shares[0] - shares[1]).abs() < 0.04, "{shares:?}");
    assert!((lost as f64) < 0.05 * all as f64, "{lost} of {all} tokens are not used");
}

#[test]
fn in_the_authors_code_the_false_continuation_fills_the_length_up() {
    let next = pairing(PairLabels::NextSentence, true);
    for (target, want) in [(15, 12), (9, 7), (40, 12)] {
        // The first segment has 4 tokens; from the partner come its sentences of 3, 4 and 5.
        let passage = Passage { target, ..passage(0, &[4, 11], 100) };
        let example = Example { passage, ..example(&[1]) };
        let second = pair(next, &example, Answer::Fixed(1), 5).second.expect("a pair");
        assert_eq!(second.tokens, (500..500 + want).collect::<Vec<u32>>(), "{target}");
    }
    let long = Pairing { max_tokens: 10, ..next };
    let cut = pair(long, &example(&[4, 11]), Answer::Fixed(1), 5);
    assert_eq!(cut.first.len() + cut.second.expect("a pair").len(), 10);
}

#[test]
fn in_evaluation_what_is_asked_is_asked_both_ways() {
    let specials = Specials { cls: 2, sep: 3, pad: 0, unk: 1, mask: 4 };
    let examples = [example(&[6]), example(&[4, 5]), example(&[3, 3, 3])];
    for (labels, compat) in [
        (PairLabels::SentenceOrder, false),
        (PairLabels::SentenceOrder, true),
        (PairLabels::NextSentence, false),
        (PairLabels::NextSentence, true),
    ] {
        let made = pairing(labels, compat).lay(&examples, Purpose::Evaluation, &specials);
        assert_eq!(
            (made.rows, made.pair_labels),
            (vec![1, 2, 3, 4], vec![0, 1, 0, 1]),
            "{labels:?} {compat}"
        );
        assert_eq!(made.owners[0], &examples[0], "one sentence is shown once, and not asked about");

        let made = pairing(labels, compat).lay(&examples, Purpose::Training, &specials);
        assert_eq!((made.laid.len(), made.rows.len()), (3, if compat { 3 } else { 2 }));
    }

    let made = pairing(PairLabels::None, false).lay(&examples, Purpose::Evaluation, &specials);
    assert_eq!((made.laid.len(), made.rows), (3, vec![]));
}

#[test]
fn a_single_sentence_is_no_pair_but_in_the_authors_code_it_is_labelled_random() {
    for labels in [PairLabels::SentenceOrder, PairLabels::NextSentence] {
        let clean = pair(pairing(labels, false), &example(&[6]), Answer::Drawn, 1);
        assert_eq!((clean.second, clean.label), (None, None));
        let authors = pair(pairing(labels, true), &example(&[6]), Answer::Drawn, 1);
        assert_eq!((authors.first.len(), authors.label), (6, Some(1)));
        assert!(authors.second.expect("a pair").tokens[0] >= 500);
    }
}

#[test]
fn half_of_the_pairs_are_random_and_more_in_the_authors_code_where_sentences_stand_alone() {
    let share = |compat: bool| {
        let labels = (0..4000).filter_map(|seed| {
            let sentences: &[usize] = if seed % 4 == 0 { &[6] } else { &[4, 5, 6] };
            pair(
                pairing(PairLabels::NextSentence, compat),
                &example(sentences),
                Answer::Drawn,
                seed,
            )
            .label
        });
        let labels: Vec<u32> = labels.collect();
        f64::from(labels.iter().sum::<u32>()) / labels.len() as f64
    };
    // Standard deviation 0.009; in the authors' code a quarter of the chunks is random besides
    // half of the rest.
    assert!((share(false) - 0.5).abs() < 0.04, "{}", share(false));
    assert!((share(true) - 0.625).abs() < 0.04, "{}", share(true));
}

#[test]
fn what_is_too_long_is_cut_from_the_longer_segment_at_either_end() {
    let (mut fronts, mut backs) = (0, 0);
    for seed in 0..50 {
        let all = passage(0, &[20, 14], 100);
        let all = Passage { spans: vec![4..6, 18..20], ..all };
        let (mut first, mut second) = (Segment::of(&all, 0, 20), Segment::of(&all, 20, 34));
        truncate(&mut first, &mut second, 31, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!((first.len(), second.len()), (17, 14), "the longer one gives");
        let start = (first.tokens[0] - 100) as usize;
        assert_eq!(first, Segment::of(&all, start, start + 17), "with what is annotated");
        fronts += first.tokens[0] - 100;
        backs += 119 - first.tokens[16];
    }
    assert!(fronts > 40 && backs > 40, "{fronts} {backs}");
}

#[test]
fn without_a_question_the_segments_follow_each_other() {
    let pair = pair(pairing(PairLabels::None, false), &example(&[4, 5]), Answer::Drawn, 3);
    assert_eq!((pair.first.len(), pair.second.map(|s| s.len()), pair.label), (4, Some(5), None));
}
