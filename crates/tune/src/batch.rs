//! Labelled sequences on the host.

use ::objective::{Answer, Example};
use trunk::Sequences;

/// A batch.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneBatch {
    /// The sequences.
    pub sequences: Sequences,
    /// Their labels.
    pub answers: Answers,
    /// What a teacher says about the sequences, one after another; empty where it has not been
    /// asked about all of them.
    pub advice: Vec<f32>,
}

/// The labels of a batch, one for each sequence unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum Answers {
    /// None are known.
    None,
    /// Classes.
    Classes(Vec<u32>),
    /// Numbers.
    Scores(Vec<f32>),
    /// Flat places (row * len + position, ascending) of the tokens that have a tag, and their tags.
    Tags(Vec<u32>, Vec<u32>),
    /// First and last tokens.
    Spans(Vec<u32>, Vec<u32>),
}

impl Answers {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Classes(classes) => classes.len(),
            Self::Scores(scores) => scores.len(),
            Self::Tags(_, tags) => tags.len(),
            Self::Spans(starts, _) => starts.len(),
        }
    }
}

/// Puts `examples` together, padded with `pad`; `segments` is the number of segment kinds that the
/// encoder knows.
///
/// # Panics
/// When labels of several kinds are mixed.
pub fn collate(examples: &[Example], pad: u32, segments: usize) -> TuneBatch {
    let rows: Vec<&[u32]> =
        examples.iter().map(|example| example.passage.tokens.as_slice()).collect();
    let mut sequences = Sequences::pad(&rows, pad);
    if segments > 1 && examples.iter().any(|example| example.passage.sentence_starts.len() > 1) {
        let kinds: Vec<Vec<u32>> = examples.iter().map(segments_of).collect();
        sequences = sequences.with_segments(&kinds);
    }
    let mut answers = Answers::None;
    for (row, example) in examples.iter().enumerate() {
        let Some(answer) = &example.answer else { continue };
        if row == 0 {
            answers = match answer {
                Answer::Class(_) => Answers::Classes(Vec::new()),
                Answer::Score(_) => Answers::Scores(Vec::new()),
                Answer::Tags(_) => Answers::Tags(Vec::new(), Vec::new()),
                Answer::Span(..) => Answers::Spans(Vec::new(), Vec::new()),
            };
        }
        match (&mut answers, answer) {
            (Answers::Classes(classes), Answer::Class(class)) => classes.push(*class),
            (Answers::Scores(scores), Answer::Score(score)) => scores.push(*score),
            (Answers::Tags(places, tags), Answer::Tags(known)) => {
                for (position, tag) in known.iter().enumerate() {
                    if let Some(tag) = tag {
                        places.push((row * sequences.len + position) as u32);
                        tags.push(*tag);
                    }
                }
            }
            (Answers::Spans(starts, ends), Answer::Span(start, end)) => {
                starts.push(*start);
                ends.push(*end);
            }
            (answers, answer) => panic!("{answer:?} among {answers:?}"),
        }
    }
    let advice = if examples.iter().all(|example| example.advice.is_some()) {
        examples.iter().filter_map(|example| example.advice.as_deref()).flatten().copied().collect()
    } else {
        Vec::new()
    };
    TuneBatch { sequences, answers, advice }
}

/// Segment 0 up to the second sentence, 1 from there on.
fn segments_of(example: &Example) -> Vec<u32> {
    let second = example.passage.sentence_starts.get(1).map_or(usize::MAX, |start| *start as usize);
    (0..example.passage.tokens.len()).map(|position| u32::from(position >= second)).collect()
}
