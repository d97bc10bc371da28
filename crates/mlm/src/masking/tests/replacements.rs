//! What stands at the chosen positions.

use super::super::config::Masking;
use super::super::knobs::{DrawPer, Family, RandomTokens};
use super::super::replace::Replacement;
use super::super::replace::Target;
use super::{
    FAMILIES, FIRST, MASK, SIZE, mask, masker, masker_of, near, sequence, vocabulary, words,
};

#[test]
fn labels_are_originals_and_everything_else_is_left_alone() {
    for family in FAMILIES {
        let masker = masker(family, 128);
        for seed in 0..200 {
            let row = sequence(3 + seed as usize, seed);
            let masked = mask(&masker, &row, seed);
            let mut rest = row.0.clone();
            for Target { position, label, replacement } in masked.targets.iter().copied() {
                let position = position as usize;
                assert_eq!(label, row.0[position]);
                match replacement {
                    Replacement::Mask => assert_eq!(masked.tokens[position], MASK),
                    Replacement::Keep => assert_eq!(masked.tokens[position], label),
                    Replacement::Random => assert!((masked.tokens[position] as usize) < SIZE),
                }
                rest[position] = masked.tokens[position];
            }
            assert!(masked.targets.is_sorted_by(|a, b| a.position < b.position));
            assert_eq!(masked.tokens, rest, "{family:?}");
        }
    }
}

#[test]
fn eighty_ten_ten_or_electras_eighty_five_and_fifteen() {
    for family in FAMILIES {
        let masker = masker(family, 128);
        let mut counts = [0.0; 3];
        for seed in 0..3000 {
            let row = sequence(100, seed);
            let words = words(&row);
            let word =
                |position: u32| words.iter().position(|word| word.contains(&(position as usize)));
            // Tokens of one unit share a draw: the first counts.
            let shared = |left: &Target, right: &Target| match family {
                Family::Spanbert => left.position + 1 == right.position,
                Family::RobertaWholeWord => word(left.position) == word(right.position),
                _ => false,
            };

            let targets = mask(&masker, &row, seed).targets;
            let mut last = None;
            for target in &targets {
                if !last.is_some_and(|last| shared(last, target)) {
                    counts[target.replacement as usize] += 1.0;
                }
                last = Some(target);
            }
        }

        let n = counts.iter().sum();
        // ELECTRA has no random tokens.
        let shares = if family == Family::Electra { [0.85, 0.0, 0.15] } else { [0.8, 0.1, 0.1] };
        let good = counts.iter().zip(shares).all(|(count, share)| near(*count, n, share));
        assert!(good, "{family:?} {counts:?}");
    }
}

#[test]
fn shares_at_their_bounds_are_kept_exactly() {
    for (mask_share, random, kind) in [
        (1.0, 0.0, Replacement::Mask),
        (0.0, 1.0, Replacement::Random),
        (0.0, 0.0, Replacement::Keep),
    ] {
        let masker = masker_of(Masking { mask: mask_share, random, ..Masking::default() }, 128);
        for seed in 0..50 {
            assert!(
                mask(&masker, &sequence(100, seed), seed)
                    .targets
                    .iter()
                    .all(|target| target.replacement == kind)
            );
        }
    }
}

#[test]
fn words_share_a_draw_only_if_asked() {
    let mixed = |draw_per: DrawPer| {
        let masker = masker_of(Masking { draw_per, ..Masking::of(Family::BertWholeWord) }, 128);
        (0..200).any(|seed| {
            let row = sequence(100, seed);
            let mut kinds = [None; 100];
            mask(&masker, &row, seed)
                .targets
                .iter()
                .for_each(|t| kinds[t.position as usize] = Some(t.replacement));
            words(&row)
                .iter()
                .any(|word| word.iter().any(|position| kinds[*position] != kinds[word[0]]))
        })
    };
    assert!(mixed(DrawPer::Token) && !mixed(DrawPer::Unit));
}

#[test]
fn random_tokens_come_from_where_they_should() {
    let seen = |random_tokens: RandomTokens| {
        let mut seen = [0.0; SIZE];
        let masker =
            masker_of(Masking { mask: 0.0, random: 1.0, random_tokens, ..Masking::default() }, 128);
        for seed in 0..3000 {
            let masked = mask(&masker, &sequence(100, seed), seed);
            masked
                .targets
                .iter()
                .for_each(|t| seen[masked.tokens[t.position as usize] as usize] += 1.0);
        }
        seen
    };
    let alike = |first: usize| {
        let weight = move |id: usize| if id < first { 0.0 } else { 1.0 / (SIZE - first) as f64 };
        (0..SIZE).map(weight).collect::<Vec<f64>>()
    };

    let counts = vocabulary().counts;
    let total = counts.iter().sum::<u64>() as f64;
    for (random_tokens, expected) in [
        (RandomTokens::Vocabulary, alike(0)),
        (RandomTokens::Content, alike(FIRST as usize)),
        (RandomTokens::AfterSpecials, alike(4)),
        (RandomTokens::Unigram, counts.iter().map(|count| *count as f64 / total).collect()),
    ] {
        let seen = seen(random_tokens);
        let n = seen.iter().sum();
        // `near` asks for none where the probability is 0.
        assert!(
            seen.iter().zip(expected).all(|(seen, p)| near(*seen, n, p)),
            "{random_tokens:?} {seen:?}"
        );
    }
}
