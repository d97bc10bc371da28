//! How many targets there are, and among which tokens.

use rand_chacha::ChaCha8Rng;

use super::super::config::Masking;
use super::super::knobs::{Budget, Cap, Eligible, Family, RateSchedule, Scope, Unit};
use super::super::masker::MaskInput;
use super::{
    CLS, FAMILIES, FIRST, SEP, SIZE, Sequence, UNK, chosen, input, mask, masker, masker_of, near,
    rng, sequence, vocabulary, words,
};

#[test]
fn halves_are_rounded_to_even() {
    let masker = masker(Family::Bert, 4096);
    // Python: [max(1, round(0.15 * n)) for n in (10, 30, 50, 70, 90, 4, 128)]
    for (len, count) in [(10, 2), (30, 4), (50, 8), (70, 10), (90, 14), (4, 1), (128, 19)] {
        assert_eq!(mask(&masker, &sequence(len, 1), 1).targets.len(), count, "length {len}");
    }
}

#[test]
fn budgets_are_kept_to_the_token() {
    for seed in 0..400 {
        let len = 3 + seed as usize % 200;
        let row = sequence(len, seed);
        let count = |family| {
            let masking = Masking { cap: Cap::None, ..Masking::of(family) };
            mask(&masker_of(masking, 128), &row, seed).targets.len()
        };

        let exact = 0.15 * len as f64;
        let even = exact.round_ties_even().max(1.0) as usize;
        assert_eq!(count(Family::Bert), even);
        // Whole words fill the budget as far as they fit.
        assert!(
            [Family::BertWholeWord, Family::HuggingfaceWholeWord, Family::Albert]
                .iter()
                .all(|f| count(*f) <= even)
        );
        assert_eq!(count(Family::Spanbert), (15 * (len - 2)).div_ceil(100), "length {len}");
        assert_eq!(
            count(Family::Distilbert),
            ((15 * len).div_ceil(100)).min(len - 2),
            "length {len}"
        );

        let probabilistic = count(Family::Roberta);
        assert!(probabilistic == exact.floor() as usize || probabilistic == exact.ceil() as usize);
    }
}

#[test]
fn single_tokens_always_give_a_target_where_one_may_be_chosen() {
    for (len, seed) in (3..40).flat_map(|len| (0..5).map(move |seed| (len, seed))) {
        let count = |family| mask(&masker(family, 128), &sequence(len, seed), seed).targets.len();
        assert!(count(Family::Bert) > 0 && count(Family::Spanbert) > 0);
        assert!(len < 7 || count(Family::Roberta) > 0);
    }
}

#[test]
fn advised_caps_come_from_the_maximum_length() {
    let long = sequence(2000, 1);
    let count = |cap: Cap, max_length: usize, family: Family| {
        mask(&masker_of(Masking { cap, ..Masking::of(family) }, max_length), &long, 1).targets.len()
    };
    assert_eq!(count(Cap::Advised, 128, Family::Bert), 20);
    assert_eq!(count(Cap::Advised, 512, Family::Bert), 77);
    assert_eq!(count(Cap::None, 512, Family::Bert), 300);
    for family in FAMILIES.into_iter().filter(|family| *family != Family::Distilbert) {
        let count = count(Cap::At(50), 512, family);
        // A word of at most four pieces may not fit the rest.
        assert!((47..=50).contains(&count), "{family:?}: {count}");
    }
}

#[test]
fn fairseqs_count_is_right_on_average_and_special_tokens_are_hit_like_others() {
    let n = 20_000;
    // 3.15, and less than one target: 0.6.
    for len in [21, 4] {
        let masker = masker(Family::Roberta, 128);
        let (mut count, mut first, mut last) = (0, 0, 0);
        for seed in 0..n {
            let chosen = chosen(&mask(&masker, &sequence(len, 1), seed));
            count += chosen.iter().filter(|chosen| **chosen).count();
            first += usize::from(chosen[0]);
            last += usize::from(chosen[len - 1]);
        }
        let expected = 0.15 * len as f64;
        let above = count as f64 - n as f64 * expected.floor();
        assert!(near(above, n as f64, expected.fract()), "{count} of {n} sequences of {len}");
        assert!(
            near(first as f64, n as f64, 0.15) && near(last as f64, n as f64, 0.15),
            "{first} {last}"
        );
    }
}

#[test]
fn nobody_else_touches_special_tokens() {
    for family in
        FAMILIES.into_iter().filter(|family| Masking::of(*family).eligible != Eligible::All)
    {
        let masker = masker(family, 128);
        for seed in 0..200 {
            let masked = mask(&masker, &sequence(5 + seed as usize % 100, seed), seed);
            assert!(masked.targets.iter().all(|target| target.label >= FIRST), "{family:?}");
        }
    }
}

/// Section 0.1 of the families' code: `[UNK]` is text but for `DataCollatorForLanguageModeling` and
/// DistilBERT.
#[test]
fn the_unknown_token_is_masked_like_any_other_but_by_two_families() {
    for family in FAMILIES {
        let masker = masker(family, 128);
        let (mut tokens, starts) = sequence(60, 3);
        (10..20).for_each(|position| tokens[position] = UNK);
        let row = (tokens, starts);
        let found = (0..100)
            .any(|seed| mask(&masker, &row, seed).targets.iter().any(|target| target.label == UNK));
        assert_eq!(
            found,
            ![Family::Huggingface, Family::Distilbert].contains(&family),
            "{family:?}"
        );
    }
}

#[test]
fn every_token_is_as_likely_as_any_other() {
    let n = 20_000;
    for family in [Family::Bert, Family::Huggingface] {
        let masker = masker(family, 128);
        let mut hits = [0; 22];
        for seed in 0..n {
            mask(&masker, &sequence(22, 1), seed)
                .targets
                .iter()
                .for_each(|t| hits[t.position as usize] += 1);
        }
        // BERT: round(0.15 * 22) = 3 of 20.
        assert!(
            hits[1..21].iter().all(|hits| near(f64::from(*hits), n as f64, 0.15)),
            "{family:?} {hits:?}"
        );
    }
}

#[test]
fn independent_words_are_chosen_at_the_rate() {
    let masking = Masking {
        budget: Budget::Bernoulli,
        unit: Unit::Word,
        cap: Cap::None,
        ..Masking::default()
    };
    let masker = masker_of(masking, 128);
    let (mut hits, mut all) = (0, 0);
    for seed in 0..1000 {
        let row = sequence(100, seed);
        let chosen = chosen(&mask(&masker, &row, seed));
        let words = words(&row);
        let content = &words[1..words.len() - 1];
        all += content.len();
        hits += content.iter().filter(|word| chosen[word[0]]).count();
    }
    assert!(near(hits as f64, all as f64, 0.15), "{hits} of {all}");
}

#[test]
fn distilberts_budget_is_of_the_batch() {
    let masker = masker(Family::Distilbert, 128);
    let rows: Vec<Sequence> = (0..8).map(|i| sequence(8 + 5 * i, i as u64)).collect();
    let views: Vec<MaskInput<'_>> = rows.iter().map(input).collect();
    let total: usize = rows.iter().map(|row| row.0.len()).sum();

    let mut empty = 0;
    for seed in 0..500 {
        let mut rngs: Vec<ChaCha8Rng> = (0..8).map(|i| rng(seed * 8 + i)).collect();
        let masked = masker.mask_batch(&views, &mut rngs);
        assert_eq!(
            masked.iter().map(|row| row.targets.len()).sum::<usize>(),
            (15 * total).div_ceil(100)
        );
        empty += masked.iter().filter(|row| row.targets.is_empty()).count();
        for (masked, row) in masked.iter().zip(&rows) {
            let chosen = chosen(masked);
            assert!(
                masked.targets.iter().all(|target| target.label == row.0[target.position as usize])
            );
            assert!((0..row.0.len()).all(|i| chosen[i] || masked.tokens[i] == row.0[i]));
            assert_eq!(masked.tokens.len(), row.0.len());
        }
    }

    assert!(empty > 0, "a sequence may get none");
    assert!(masker.mask_batch(&[], &mut []).is_empty());
}

#[test]
fn a_batch_of_one_is_masked_as_a_sequence_is() {
    let masker = masker(Family::Distilbert, 128);
    assert_eq!(masker.masking().scope, Scope::Batch);
    let sequence = sequence(40, 1);
    let row = input(&sequence);
    assert_eq!(masker.mask_batch(&[row], &mut [rng(7)]), [masker.mask(&row, &mut rng(7))]);
}

#[test]
fn distilbert_prefers_rare_tokens_as_their_weights_say() {
    // One target among six tokens: its distribution is that of the weights.
    let masker = masker(Family::Distilbert, 128);
    let tokens: Vec<u32> = (0..6).map(|i| FIRST + 19 * i).collect();
    let row = (tokens.clone(), vec![true; 6]);
    let weights: Vec<f64> = tokens
        .iter()
        .map(|id| (vocabulary().counts[*id as usize].max(1) as f64).powf(-0.7))
        .collect();
    let sum: f64 = weights.iter().sum();

    let n = 50_000;
    let mut hits = [0; 6];
    for seed in 0..n {
        let masked = mask(&masker, &row, seed);
        assert_eq!(masked.targets.len(), 1);
        hits[masked.targets[0].position as usize] += 1;
    }

    for (hits, weight) in hits.iter().zip(&weights) {
        assert!(
            near(f64::from(*hits), n as f64, weight / sum),
            "{hits} of {n}, expected {}",
            weight / sum
        );
    }
    assert!(hits.is_sorted(), "rarer tokens more often: {hits:?}");
}

/// Clark et al.'s `max_predictions_per_seq = int((mask_prob + 0.005) * max_seq_length)`.
#[test]
fn electra_has_nineteen_slots_at_128_and_79_at_512_and_130_at_a_quarter_of_512() {
    let slots = |rate: f64, max_length: usize| {
        let masking = Masking { rate, ..Masking::of(Family::Electra) };
        mask(&masker_of(masking, max_length), &sequence(2000, 1), 1).targets.len()
    };
    assert_eq!([slots(0.15, 128), slots(0.15, 512), slots(0.25, 512)], [19, 79, 130]);
}

#[test]
fn the_rate_goes_from_the_first_to_the_last_over_the_budget() {
    let falling = |rate_schedule| {
        let masking = Masking { rate: 0.4, final_rate: 0.15, rate_schedule, ..Masking::default() };
        let masker = masker_of(masking, 200);
        let sequence = sequence(200, 1);
        [0.0, 0.25, 0.5, 1.0].map(|progress| {
            let row = MaskInput { progress, ..input(&sequence) };
            masker.mask(&row, &mut rng(7)).targets.len()
        })
    };
    // Of 200 tokens 0.4, 0.3375, 0.275 and 0.15, to the even neighbour of a half.
    assert_eq!(falling(RateSchedule::Linear), [80, 68, 55, 30]);
    // 0.15 + 0.25 (1 + cos 45 degrees) / 2 after a quarter.
    assert_eq!(falling(RateSchedule::Cosine), [80, 73, 55, 30]);
    assert_eq!(Masking::default().rate_at(0.3), 0.15);
}

#[test]
fn with_replacement_places_repeat_as_often_as_chance_has_it() {
    let masking = Masking { repeat: true, ..Masking::of(Family::Electra) };
    let (masker, runs) = (masker_of(masking, 128), 4000);
    let mut distinct = 0;
    for seed in 0..runs {
        let row = sequence(128, 1);
        let masked = mask(&masker, &row, seed);
        assert_eq!(masked.targets.len(), 19);
        let mut positions: Vec<u32> = masked.targets.iter().map(|target| target.position).collect();
        assert!(positions.is_sorted());
        assert!(
            masked.targets.iter().all(|target| target.label == row.0[target.position as usize])
        );
        positions.dedup();
        distinct += positions.len();
    }
    // 126 (1 - (125 / 126)^19) = 17.70 of 19; one standard deviation of the mean is 0.02.
    let mean = distinct as f64 / runs as f64;
    assert!((mean - 17.70).abs() < 0.08, "{mean}");
}

#[test]
fn tokens_are_chosen_as_often_as_their_weights_say() {
    let mut weights = vec![1.0f32; SIZE];
    (weights[20], weights[21]) = (3.0, 0.2);
    let tokens: Vec<u32> = [CLS].into_iter().chain(20..40).chain([SEP]).collect();
    let n = tokens.len();
    let sequence = (tokens, vec![true; n]);
    for budget in [Budget::HalfEven, Budget::Bernoulli] {
        let masking = Masking { budget, adapt_every: 200, ..Masking::default() };
        let masker = masker_of(masking, 128);
        let (mut hits, mut all) = ([0.0; 3], 0.0);
        for seed in 0..4000 {
            let weights = Some(weights.as_slice());
            let row = MaskInput { weights, ..input(&sequence) };
            let chosen = chosen(&masker.mask(&row, &mut rng(seed)));
            (0..3).for_each(|i| hits[i] += f64::from(u8::from(chosen[i + 1])));
            all += chosen.iter().filter(|chosen| **chosen).count() as f64;
        }
        // 15 % of 22 or of 20 tokens.
        assert!((all / 4000.0 - 3.15).abs() < 0.2, "{budget:?}: {all}");
        assert!((2.3..3.3).contains(&(hits[0] / hits[2])), "{budget:?}: {hits:?}");
        assert!((0.15..0.3).contains(&(hits[1] / hits[2])), "{budget:?}: {hits:?}");
    }
}
