//! Labelled sequences on the host.

use ::objective::{Example, Label};
use trunk::Sequences;

/// A batch of labelled sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskBatch {
    /// The sequences.
    pub sequences: Sequences,
    /// Their labels.
    pub labels: TaskLabels,
    /// A teacher's outputs for the sequences, one after another; empty unless every sequence has
    /// some.
    pub teacher_logits: Vec<f32>,
}

/// The labels of a batch, one for each sequence unless stated otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskLabels {
    /// No labels.
    None,
    /// Classes.
    Classes(Vec<u32>),
    /// Numbers.
    Scores(Vec<f32>),
    /// Flat positions (row * len + position, ascending) of the tokens that have a tag, and their
    /// tags.
    Tags(Vec<u32>, Vec<u32>),
    /// First and last tokens.
    Spans(Vec<u32>, Vec<u32>),
}

impl TaskLabels {
    /// The number of labels.
    pub fn count(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Classes(classes) => classes.len(),
            Self::Scores(scores) => scores.len(),
            Self::Tags(_, tags) => tags.len(),
            Self::Spans(starts, _) => starts.len(),
        }
    }

    /// An empty list of labels of the kind of `label`.
    fn like(label: &Label) -> Self {
        match label {
            Label::Class(_) => Self::Classes(Vec::new()),
            Label::Score(_) => Self::Scores(Vec::new()),
            Label::Tags(_) => Self::Tags(Vec::new(), Vec::new()),
            Label::Span(..) => Self::Spans(Vec::new(), Vec::new()),
        }
    }

    /// Adds the label of the sequence whose first token is at the flat position `start`.
    fn push(&mut self, label: &Label, start: usize) {
        match (self, label) {
            (Self::Classes(classes), Label::Class(class)) => classes.push(*class),
            (Self::Scores(scores), Label::Score(score)) => scores.push(*score),
            (Self::Tags(positions, tags), Label::Tags(known)) => {
                for (position, tag) in known.iter().enumerate() {
                    if let Some(tag) = tag {
                        positions.push((start + position) as u32);
                        tags.push(*tag);
                    }
                }
            }
            (Self::Spans(starts, ends), Label::Span(start, end)) => {
                starts.push(*start);
                ends.push(*end);
            }
            (labels, label) => panic!("{label:?} among {labels:?}"),
        }
    }
}

/// Puts `examples` together, padded with `pad`; `segments` is the number of segment kinds that the
/// encoder knows.
///
/// # Panics
/// When labels of several kinds are mixed.
pub fn collate(examples: &[Example], pad: u32, segments: usize) -> TaskBatch {
    let rows: Vec<&[u32]> =
        examples.iter().map(|example| example.passage.tokens.as_slice()).collect();
    let mut sequences = Sequences::pad(&rows, pad);
    if segments > 1 && examples.iter().any(|example| example.passage.sentence_starts.len() > 1) {
        let kinds: Vec<Vec<u32>> = examples.iter().map(segments_of).collect();
        sequences = sequences.with_segments(&kinds);
    }

    let mut labels = TaskLabels::None;
    for (row, example) in examples.iter().enumerate() {
        let Some(label) = &example.label else { continue };
        if row == 0 {
            labels = TaskLabels::like(label);
        }
        labels.push(label, row * sequences.len);
    }

    TaskBatch { sequences, labels, teacher_logits: teacher_logits(examples) }
}

/// The teacher's logits of all examples, one after another; empty unless every example has some.
fn teacher_logits(examples: &[Example]) -> Vec<f32> {
    let logits: Option<Vec<&[f32]>> =
        examples.iter().map(|example| example.teacher_logits.as_deref()).collect();
    logits.unwrap_or_default().concat()
}

/// Segment 0 up to the second sentence, 1 from there on.
fn segments_of(example: &Example) -> Vec<u32> {
    let second = example.passage.sentence_starts.get(1).map_or(usize::MAX, |start| *start as usize);
    (0..example.passage.tokens.len()).map(|position| u32::from(position >= second)).collect()
}
