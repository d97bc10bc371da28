//! Spans and boundaries by hand and over many seeds.

use corpus::Passage;
use objective::{Context, Example, Objective, Purpose, fixtures};

use crate::batch::SboBatch;
use crate::{Sbo, SboConfig, Span};

fn context() -> Context {
    Context {
        token_counts: (0..200).map(|id| u64::from(id != 7) + 100 * u64::from(id == 9)).collect(),
        ..fixtures::context(200, 130)
    }
}

fn example(number: u64, n: u32, seed: u64) -> Example {
    let passage = |number: u64| {
        let tokens = (0..n).map(|i| 5 + (i * 31 + number as u32 * 7) % 195).collect();
        let words = (0..n).map(|i| i % 3 != 1).collect();
        Passage { word_starts: words, ..Passage::of_words(number, tokens, vec![0, n / 2]) }
    };
    Example { seed, partner: Some(passage(number + 1000)), ..fixtures::example(passage(number)) }
}

fn batch(config: &SboConfig, seed: u64) -> SboBatch {
    let examples: Vec<Example> = (0..3).map(|i| example(i, 40 + 30 * i as u32, seed)).collect();
    Sbo::new(config.clone(), &context())
        .expect("an objective")
        .collate(&examples, Purpose::Training)
}

#[test]
fn boundaries_are_never_masked_never_special_and_enclose_masked_tokens_only() {
    for seed in 0..300 {
        let batch = batch(&SboConfig::default(), seed);
        let masked = |flat: u32| batch.mlm.positions.binary_search(&flat).is_ok();
        let original = batch.mlm.unmasked();

        for Span { left, right } in &batch.spans {
            assert_eq!(
                *left as usize / original.len,
                *right as usize / original.len,
                "within a sequence"
            );
            for end in [*left, *right] {
                assert!(!masked(end) && original.tokens[end as usize] > 4);
            }
            assert!((left + 1..*right).all(masked));
        }
        assert!(
            batch.spans.windows(2).all(|pair| pair[0].right <= pair[1].left),
            "disjoint and not adjacent"
        );
    }
}

#[test]
fn each_span_has_one_kind_of_replacement_and_the_budget_is_exact() {
    for seed in 0..100 {
        let batch = batch(&SboConfig::default(), seed);
        for span in &batch.spans {
            let first = batch.mlm.positions.partition_point(|flat| *flat <= span.left);
            let kinds =
                &batch.mlm.replacements[first..first + (span.right - span.left - 1) as usize];
            assert!(kinds.iter().all(|kind| *kind == kinds[0]));
        }

        let count = |row: usize| {
            let len = batch.mlm.sequences.len;
            batch.mlm.positions.iter().filter(|flat| **flat as usize / len == row).count()
        };
        for row in 0..3 {
            let content = batch.mlm.sequences.lengths[row] - 2;
            assert_eq!(count(row), (15 * content).div_ceil(100));
        }
    }
}

#[test]
fn a_boundary_predicts_its_spans_tokens_in_order_up_to_the_largest_offset() {
    let mut batch = SboBatch {
        spans: vec![Span { left: 2, right: 6 }],
        max_offset: 2,
        ..batch(&SboConfig::default(), 1)
    };
    batch.mlm.positions = vec![3, 4, 5, 9];
    batch.mlm.labels = vec![13, 14, 15, 19];

    let boundary = batch.boundary();
    assert_eq!(boundary.labels, [13, 14]);
    assert_eq!(boundary.offsets, [0, 1]);
    assert_eq!((boundary.left, boundary.right), (vec![2, 2], vec![6, 6]));
    assert_eq!(batch.boundary_targets(), 2);
}

#[test]
fn in_pairs_each_segment_has_a_budget_of_its_own() {
    let config =
        SboConfig { sequences: crate::config::Sequences::NextSentence, ..SboConfig::default() };
    for seed in 0..100 {
        let batch = batch(&config, seed);
        let (sequences, original) = (&batch.mlm.sequences, batch.mlm.unmasked());
        for row in 0..3 {
            for segment in 0..2 {
                let here = |i: &usize| sequences.segments[row * sequences.len + i] == segment;
                let positions: Vec<usize> = (0..sequences.lengths[row]).filter(here).collect();
                let flat = |i: &usize| (row * sequences.len + i) as u32;

                let content =
                    positions.iter().filter(|i| original.tokens[flat(i) as usize] > 4).count();
                let masked =
                    positions.iter().filter(|i| batch.mlm.positions.contains(&flat(i))).count();
                assert_eq!(
                    masked,
                    (15 * content).div_ceil(100),
                    "seed {seed}, row {row}, segment {segment}"
                );
            }
        }
        assert_eq!(batch.rows, [0, 1, 2]);
    }
}

#[test]
fn in_evaluation_pairs_are_asked_both_ways_and_the_loss_is_the_mean_over_its_targets() {
    let config = SboConfig {
        sequences: crate::config::Sequences::NextSentence,
        compat: true,
        ..SboConfig::default()
    };
    let objective = Sbo::new(config, &context()).expect("an objective");
    let examples: Vec<Example> = (0..3).map(|i| example(i, 40, 1)).collect();

    let batch = objective.collate(&examples, Purpose::Evaluation);
    assert_eq!(
        (batch.rows.as_slice(), batch.pair_labels.as_slice()),
        (&[0, 1, 2, 3, 4, 5][..], &[0, 1, 0, 1, 0, 1][..])
    );
    assert_eq!(objective.target_counts(&batch)[1], batch.boundary_targets() as f64);

    let batch = objective.collate(&examples, Purpose::Training);
    assert_eq!(batch.rows.len(), 3);
    assert_eq!(
        objective.target_counts(&batch)[1],
        batch.boundary_targets() as f64 + 1.0,
        "fairseq adds one"
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let error = |config: SboConfig| Sbo::new(config, &context()).expect_err("refused").to_string();
    let default = SboConfig::default;
    assert!(error(SboConfig { max_offset: 21, ..default() }).contains("between 1 and 20"));
    assert!(error(SboConfig { weight: -1.0, ..default() }).contains("objective.weight = -1"));
    assert!(error(SboConfig { offset_width: 0, ..default() }).contains("offset_width = 0"));
}
