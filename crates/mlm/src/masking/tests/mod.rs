//! The masker against hand-made cases, published numbers, and properties over many seeds.

mod budgets;
mod knobs;
mod pmi;
mod replacements;
mod spans;
mod words;

use std::sync::Arc;

use corpus::Ngrams;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::config::Masking;
use super::draw::below;
use super::knobs::Family;
use super::masker::{MaskInput, Masked, Masker};
use super::vocabulary::Vocabulary;

const UNK: u32 = 1;
const CLS: u32 = 2;
const SEP: u32 = 3;
const MASK: u32 = 4;
const FIRST: u32 = 5;
const SIZE: usize = 105;

const FAMILIES: [Family; 11] = [
    Family::Bert,
    Family::BertWholeWord,
    Family::Roberta,
    Family::RobertaWholeWord,
    Family::Albert,
    Family::Distilbert,
    Family::Huggingface,
    Family::HuggingfaceWholeWord,
    Family::Electra,
    Family::Spanbert,
    Family::Pmi,
];

/// Tokens and word starts of a sequence.
type Sequence = (Vec<u32>, Vec<bool>);

/// Zipf-like counts; special tokens and the last id never occur.
fn vocabulary() -> Vocabulary {
    let mut counts: Vec<u64> = (0..SIZE as u64).map(|id| 10_000 / (id + 1)).collect();
    counts[..FIRST as usize].fill(0);
    counts[SIZE - 1] = 0;
    // Every odd id and the one after it belong together.
    let ngrams: Ngrams = (FIRST..SIZE as u32 - 1).step_by(2).map(|id| vec![id, id + 1]).collect();
    let (specials, ngrams) = ((0..FIRST).collect(), Some(Arc::new(ngrams)));
    Vocabulary { size: SIZE, mask: MASK, unk: UNK, specials, counts, ngrams }
}

fn masker_of(masking: Masking, max_length: usize) -> Masker {
    Masker::new(masking, vocabulary(), max_length).expect("knobs that fit")
}

fn masker(family: Family, max_length: usize) -> Masker {
    masker_of(Masking::of(family), max_length)
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// `[CLS]` content `[SEP]` of `len` tokens in all, with words of one to four pieces.
fn sequence(len: usize, seed: u64) -> Sequence {
    let rng = &mut rng(seed ^ 0xabcd);
    let mut tokens = vec![CLS];
    let mut starts = vec![true];
    let mut left = 0;
    while tokens.len() + 1 < len {
        tokens.push(FIRST + below(SIZE - FIRST as usize, rng) as u32);
        starts.push(left == 0);
        left = if left == 0 { below(4, rng) } else { left - 1 };
    }
    tokens.push(SEP);
    starts.push(true);
    (tokens, starts)
}

/// A sequence without spans and weights at the end of the budget.
fn input((tokens, word_starts): &Sequence) -> MaskInput<'_> {
    MaskInput { tokens, word_starts, spans: &[], weights: None, progress: 1.0 }
}

fn mask(masker: &Masker, row: &Sequence, seed: u64) -> Masked {
    masker.mask(&input(row), &mut rng(seed))
}

/// Positions of each word of a [`sequence`], the special tokens' included.
fn words((_, starts): &Sequence) -> Vec<Vec<usize>> {
    let mut words: Vec<Vec<usize>> = Vec::new();
    for (position, starts) in starts.iter().enumerate() {
        if *starts {
            words.push(Vec::new());
        }
        words.last_mut().expect("a first word").push(position);
    }
    words
}

/// Whether each position is a target.
fn chosen(masked: &Masked) -> Vec<bool> {
    let mut chosen = vec![false; masked.tokens.len()];
    masked.targets.iter().for_each(|target| chosen[target.position as usize] = true);
    chosen
}

/// Whether `hits` of `n` draws are within five standard deviations of a probability.
fn near(hits: f64, n: f64, probability: f64) -> bool {
    (hits - n * probability).abs() <= 5.0 * (n * probability * (1.0 - probability)).sqrt()
}

#[test]
fn the_generator_decides_everything() {
    for family in FAMILIES {
        let masker = masker(family, 128);
        let row = sequence(100, 5);
        assert_eq!(mask(&masker, &row, 1), mask(&masker, &row, 1));
        assert_ne!(mask(&masker, &row, 1), mask(&masker, &row, 2), "{family:?}");
    }
}

/// Runs of older versions are repeated bit by bit as long as these stand.
#[test]
fn draws_stay_the_same_over_versions() {
    let masked = |family: Family| {
        let masked = mask(&masker(family, 128), &sequence(30, 5), 1);
        masked
            .targets
            .iter()
            .map(|t| (t.position, masked.tokens[t.position as usize]))
            .collect::<Vec<_>>()
    };
    assert_eq!(masked(Family::Bert), [(4, 4), (9, 4), (12, 4), (18, 92)]);
    assert_eq!(masked(Family::Roberta), [(2, 4), (8, 4), (10, 56), (18, 4)]);
    assert_eq!(masked(Family::Albert), [(5, 4), (6, 4), (7, 19), (13, 4)]);
    assert_eq!(masked(Family::Spanbert), [(1, 4), (2, 4), (3, 4), (4, 4), (5, 4)]);
    assert_eq!(masked(Family::Distilbert), [(2, 39), (13, 65), (20, 4), (24, 4), (25, 82)]);
}

#[test]
fn a_batch_is_masked_as_its_sequences_are() {
    let rows: Vec<Sequence> = (0..4).map(|i| sequence(30 + i, i as u64)).collect();
    let views: Vec<MaskInput<'_>> = rows.iter().map(input).collect();
    for family in FAMILIES.into_iter().filter(|family| *family != Family::Distilbert) {
        let masker = masker(family, 128);
        let mut rngs: Vec<ChaCha8Rng> = (0..4).map(rng).collect();
        let alone: Vec<Masked> =
            rows.iter().zip(0..).map(|(row, seed)| mask(&masker, row, seed)).collect();
        assert_eq!(masker.mask_batch(&views, &mut rngs), alone, "{family:?}");
    }
}

#[test]
fn odd_sequences_are_masked_or_left_without_harm() {
    let long_word = [vec![true, true], vec![false; 39], vec![true]].concat();
    let cases = [
        (vec![], vec![]),
        (vec![CLS], vec![true]),
        (vec![CLS, SEP], vec![true, true]),
        (vec![FIRST], vec![true]),
        (vec![CLS, FIRST, SEP], vec![true, true, true]),
        // A piece without its start, and a special token that claims to continue a word.
        (vec![CLS, FIRST, SEP, FIRST], vec![true, false, false, false]),
        // One word longer than any budget.
        ([vec![CLS], vec![FIRST; 40], vec![SEP]].concat(), long_word),
    ];

    for family in FAMILIES {
        for rate in [0.001, 0.15, 0.999] {
            let masker = masker_of(Masking { rate, ..Masking::of(family) }, 128);
            for (case, seed) in cases.iter().flat_map(|case| (0..20).map(move |seed| (case, seed)))
            {
                let masked = mask(&masker, case, seed);
                assert_eq!(masked.tokens.len(), case.0.len());
                assert!(masked.targets.len() <= case.0.len());
            }
        }
    }
}
