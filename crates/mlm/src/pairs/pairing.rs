//! How two segments are made of a passage.

use corpus::{Passage, below, uniform};
use objective::Example;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::sentences::{first_sentences, nearest_run};
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
    /// As in the authors' code. A passage of one sentence gets a second segment from another
    /// document and the answer 1, also where the order is asked (clean: it is no pair, and nothing
    /// is asked). A second segment from another document is filled up to the passage's length, also
    /// where the passage's document ended before that, so that lengths tell something of the answer
    /// (clean: whatever the answer is, the segments are equally long).
    pub compat: bool,
}

/// The first document of a passage, cut in two after a sentence.
struct Halves<'e> {
    passage: &'e Passage,
    /// Where the second half begins.
    cut: usize,
    first: Segment,
    second: Segment,
}

impl Pairing {
    /// The pair that `example` becomes. The passage is cut after a sentence drawn uniformly; a
    /// passage over several documents counts up to the end of the first. Swapping comes before
    /// truncation.
    pub(super) fn pair(&self, example: &Example, answer: Answer, rng: &mut ChaCha8Rng) -> Pair {
        let passage = &example.passage;
        let end = end_of_first_document(passage);
        let cuts = cuts_before(passage, end);

        // All draws are made whatever they are used for, so that one answer's pair is the other's
        // but for the answer.
        let (cut, one) = (uniform(rng), uniform(rng) < 0.5);
        let label = match answer {
            Answer::Drawn => u32::from(one),
            Answer::Fixed(label) => label,
        };

        let mut pair = if cuts.is_empty() {
            self.single(Segment::of(passage, 0, end), example)
        } else {
            let cut = cuts[((cut * cuts.len() as f64) as usize).min(cuts.len() - 1)];
            self.ask(Halves::new(passage, cut, end), example.partner.as_ref(), label)
        };

        let mut nothing = Segment::default();
        let second = pair.second.as_mut().unwrap_or(&mut nothing);
        truncate(&mut pair.first, second, self.max_tokens, rng);
        pair
    }

    /// The pair of a passage that consists of one sentence, `first`.
    fn single(&self, first: Segment, example: &Example) -> Pair {
        match &example.partner {
            Some(partner) if self.compat && self.labels != PairLabels::None => {
                let second = fill_up(&example.passage, &first, partner);
                Pair { first, second: Some(second), label: Some(1) }
            }
            _ => Pair { first, second: None, label: None },
        }
    }

    /// The pair of a passage in two halves, to which the answer is `label`.
    fn ask(&self, halves: Halves<'_>, partner: Option<&Passage>, label: u32) -> Pair {
        match (self.labels, partner) {
            (PairLabels::SentenceOrder, _) => {
                let Halves { first, second, .. } = halves;
                let (first, second) = if label == 0 { (first, second) } else { (second, first) };
                Pair { first, second: Some(second), label: Some(label) }
            }
            (PairLabels::NextSentence, Some(partner)) => {
                let second = self.continuation(&halves, partner, label);
                Pair { first: halves.first, second: Some(second), label: Some(label) }
            }
            // A text of one document has no other one to ask about.
            (PairLabels::None, _) | (PairLabels::NextSentence, None) => {
                Pair { first: halves.first, second: Some(halves.second), label: None }
            }
        }
    }

    /// The second segment where next sentences are asked: the second half for the label 0,
    /// otherwise sentences of `partner`.
    fn continuation(&self, halves: &Halves<'_>, partner: &Passage, label: u32) -> Segment {
        let Halves { passage, cut, first, second } = halves;
        let follows = label == 0;
        if self.compat {
            return if follows { second.clone() } else { fill_up(passage, first, partner) };
        }

        let run = nearest_run(partner, second.len());
        let common = second.len().min(run.len());
        let (text, start) = if follows { (*passage, *cut) } else { (partner, run.start) };
        Segment::of(text, start, start + common)
    }
}

impl<'e> Halves<'e> {
    fn new(passage: &'e Passage, cut: usize, end: usize) -> Self {
        let first = Segment::of(passage, 0, cut);
        let second = Segment::of(passage, cut, end);
        Self { passage, cut, first, second }
    }
}

fn end_of_first_document(passage: &Passage) -> usize {
    passage.document_starts.first().map_or(passage.tokens.len(), |start| *start as usize)
}

/// Where a passage that counts up to `end` can be cut: between two sentences.
fn cuts_before(passage: &Passage, end: usize) -> Vec<usize> {
    let starts = passage.sentence_starts.iter().map(|start| *start as usize);
    starts.filter(|start| (1..end).contains(start)).collect()
}

/// A second segment from `partner` with which `first` has the length of its passage's chunk, as in
/// the authors' code.
fn fill_up(passage: &Passage, first: &Segment, partner: &Passage) -> Segment {
    first_sentences(partner, passage.target.saturating_sub(first.len()))
}

/// Drops tokens of the longer segment (of the second when they are equal), from its front or back
/// with equal probability, until both together fit.
pub fn truncate(
    first: &mut Segment,
    second: &mut Segment,
    max_tokens: usize,
    rng: &mut ChaCha8Rng,
) {
    while first.len() + second.len() > max_tokens {
        let longer = if first.len() > second.len() { &mut *first } else { &mut *second };
        let at = if below(2, rng) == 0 { 0 } else { longer.len() - 1 };
        longer.tokens.remove(at);
        longer.word_starts.remove(at);
        longer.spans.remove(at);
    }
}
