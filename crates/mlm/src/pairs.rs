//! Pairs of segments as BERT and ALBERT build them (`create_pretraining_data.py`), for objectives with a question about
//! the pair.

use corpus::{Passage, below, uniform};
use objective::Example;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::layout::Segment;

/// What is asked about a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairLabels {
    /// Whether the segments stand in their order (0) or are swapped (1): ALBERT.
    #[default]
    SentenceOrder,
    /// Whether the second segment follows the first (0) or is of another document (1): BERT.
    NextSentence,
    /// Nothing: the second segment always follows.
    None,
}

/// Which answer a pair is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Either, with equal probability.
    Drawn,
    /// This one.
    Fixed(u32),
}

/// Two segments, or one where the passage gives no pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The first segment.
    pub first: Segment,
    /// The second.
    pub second: Option<Segment>,
    /// The answer to what is asked; none where nothing is.
    pub label: Option<u32>,
}

/// How pairs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// What is asked.
    pub labels: PairLabels,
    /// Most tokens of a pair, special tokens not counted.
    pub max_tokens: usize,
    /// As in the authors' code. A passage of one sentence gets a second segment from another document and the answer 1,
    /// also where the order is asked (clean: it is no pair, and nothing is asked). A second segment from another document
    /// fills the sequence up, so that short passages give themselves away (clean: it is about as long as the one that it
    /// stands for).
    pub compat: bool,
}

impl Pairing {
    /// The pair that `example` becomes. The passage is cut after a sentence drawn uniformly; a passage over several
    /// documents counts up to the end of the first. Swapping comes before truncation.
    pub fn pair(&self, example: &Example, answer: Answer, rng: &mut ChaCha8Rng) -> Pair {
        let passage = &example.passage;
        let end = passage.document_starts.first().map_or(passage.tokens.len(), |start| *start as usize);
        let cuts: Vec<usize> = passage
            .sentence_starts
            .iter()
            .map(|start| *start as usize)
            .filter(|start| (1..end).contains(start))
            .collect();
        // All draws are made whatever they are used for, so that one answer's pair is the other's but for the answer.
        let (cut, one, from) = (uniform(rng), uniform(rng) < 0.5, uniform(rng));
        let label = match answer {
            Answer::Drawn => u32::from(one),
            Answer::Fixed(label) => label,
        };
        let partner = example.partner.as_ref();
        let mut pair = match (cuts.is_empty(), self.labels, partner) {
            (true, PairLabels::SentenceOrder | PairLabels::NextSentence, Some(partner)) if self.compat => {
                let first = Segment::of(passage, 0, end);
                let second = self.other(partner, self.max_tokens.saturating_sub(first.len()), from);
                Pair { first, second: Some(second), label: Some(1) }
            }
            (true, ..) => Pair { first: Segment::of(passage, 0, end), second: None, label: None },
            (false, labels, partner) => {
                let cut = cuts[((cut * cuts.len() as f64) as usize).min(cuts.len() - 1)];
                let (first, second) = (Segment::of(passage, 0, cut), Segment::of(passage, cut, end));
                match (labels, partner, label) {
                    (PairLabels::None, ..) => Pair { first, second: Some(second), label: None },
                    (PairLabels::SentenceOrder, _, 0) | (PairLabels::NextSentence, Some(_), 0) => {
                        Pair { first, second: Some(second), label: Some(0) }
                    }
                    (PairLabels::SentenceOrder, ..) => Pair { first: second, second: Some(first), label: Some(1) },
                    (PairLabels::NextSentence, Some(partner), _) => {
                        let room = if self.compat { self.max_tokens.saturating_sub(first.len()) } else { second.len() };
                        let other = self.other(partner, room, from);
                        Pair { first, second: Some(other), label: Some(1) }
                    }
                    // A text of one document has no other one to ask about.
                    (PairLabels::NextSentence, None, _) => Pair { first, second: Some(second), label: None },
                }
            }
        };
        if let Some(second) = &mut pair.second {
            truncate(&mut pair.first, second, self.max_tokens, rng);
        }
        pair
    }

    /// Whole sentences of another passage, from one drawn by `from` in [0, 1) on, until there are `wanted` tokens.
    fn other(&self, passage: &Passage, wanted: usize, from: f64) -> Segment {
        let starts = &passage.sentence_starts;
        let first = ((from * starts.len() as f64) as usize).min(starts.len() - 1);
        let start = starts[first] as usize;
        let enough = starts[first + 1..].iter().map(|end| *end as usize).find(|end| end - start >= wanted);
        Segment::of(passage, start, enough.unwrap_or(passage.tokens.len()))
    }
}

/// Drops tokens of the longer segment (of the second when they are equal), from its front or back with equal
/// probability, until both together fit.
fn truncate(first: &mut Segment, second: &mut Segment, max_tokens: usize, rng: &mut ChaCha8Rng) {
    while first.len() + second.len() > max_tokens {
        let longer = if first.len() > second.len() { &mut *first } else { &mut *second };
        let at = if below(2, rng) == 0 { 0 } else { longer.len() - 1 };
        longer.tokens.remove(at);
        longer.word_starts.remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn passage(number: u64, sentences: &[usize], first: u32) -> Passage {
        let n: usize = sentences.iter().sum();
        let mut at = 0;
        let mut sentence_starts = Vec::new();
        for len in sentences {
            sentence_starts.push(at);
            at += *len as u32;
        }
        let tokens = (0..n as u32).map(|i| first + i).collect();
        Passage { number, tokens, sentence_starts, document_starts: vec![], word_starts: vec![true; n], spans: vec![] }
    }

    fn example(sentences: &[usize]) -> Example {
        let partner = Some(passage(9, &[3, 4, 5], 500));
        Example { passage: passage(0, sentences, 100), seed: 1, epoch: 0, partner, answer: None, advice: None }
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
            assert_eq!((Some(&right.first), right.second.as_ref()), (wrong.second.as_ref(), Some(&wrong.first)));
            let whole = [right.first.tokens, right.second.expect("a pair").tokens].concat();
            assert_eq!(whole, (100..115).collect::<Vec<u32>>(), "both segments together are the passage");
            assert!([4, 9].contains(&wrong.second.expect("a pair").len()), "cut after a sentence");
        }
    }

    #[test]
    fn a_false_continuation_is_of_another_document() {
        let next = pairing(PairLabels::NextSentence, false);
        for seed in 0..50 {
            let pair = pair(next, &example(&[4, 5, 6]), Answer::Fixed(1), seed);
            let second = pair.second.expect("a pair");
            assert_eq!(pair.label, Some(1));
            assert!(second.tokens.iter().all(|token| *token >= 500) && pair.first.tokens[0] == 100);
            assert!([500, 503, 507].contains(&second.tokens[0]), "begins with a sentence");
        }
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
                pair(pairing(PairLabels::NextSentence, compat), &example(sentences), Answer::Drawn, seed).label
            });
            let labels: Vec<u32> = labels.collect();
            f64::from(labels.iter().sum::<u32>()) / labels.len() as f64
        };
        // Standard deviation 0.009; in the authors' code a quarter of the chunks is random besides half of the rest.
        assert!((share(false) - 0.5).abs() < 0.04, "{}", share(false));
        assert!((share(true) - 0.625).abs() < 0.04, "{}", share(true));
    }

    #[test]
    fn what_is_too_long_is_cut_from_the_longer_segment_at_either_end() {
        let (mut fronts, mut backs) = (0, 0);
        for seed in 0..50 {
            let all = passage(0, &[20, 14], 100);
            let (mut first, mut second) = (Segment::of(&all, 0, 20), Segment::of(&all, 20, 34));
            truncate(&mut first, &mut second, 31, &mut ChaCha8Rng::seed_from_u64(seed));
            assert_eq!((first.len(), second.len()), (17, 14), "the longer one gives");
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
}
