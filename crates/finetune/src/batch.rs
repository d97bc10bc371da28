//! Labelled sequences on the host.

use ::objective::{Example, Label};
use trunk::Sequences;

/// A batch.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskBatch {
    /// The sequences.
    pub sequences: Sequences,
    /// Their labels.
    pub labels: TaskLabels,
    /// A teacher's outputs for the sequences, one after another; empty unless all of them have
    /// some.
    pub teacher_logits: Vec<f32>,
}

/// The labels of a batch, one for each sequence unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskLabels {
    /// None are known.
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
            labels = match label {
                Label::Class(_) => TaskLabels::Classes(Vec::new()),
                Label::Score(_) => TaskLabels::Scores(Vec::new()),
                Label::Tags(_) => TaskLabels::Tags(Vec::new(), Vec::new()),
                Label::Span(..) => TaskLabels::Spans(Vec::new(), Vec::new()),
            };
        }
        match (&mut labels, label) {
            (TaskLabels::Classes(classes), Label::Class(class)) => classes.push(*class),
            (TaskLabels::Scores(scores), Label::Score(score)) => scores.push(*score),
            (TaskLabels::Tags(positions, tags), Label::Tags(known)) => {
                for (position, tag) in known.iter().enumerate() {
                    if let Some(tag) = tag {
                        positions.push((row * sequences.len + position) as u32);
                        tags.push(*tag);
                    }
                }
            }
            (TaskLabels::Spans(starts, ends), Label::Span(start, end)) => {
                starts.push(*start);
                ends.push(*end);
            }
            (labels, label) => panic!("{label:?} among {labels:?}"),
        }
    }
    let teacher_logits = if examples.iter().all(|example| example.teacher_logits.is_some()) {
        examples
            .iter()
            .filter_map(|example| example.teacher_logits.as_deref())
            .flatten()
            .copied()
            .collect()
    } else {
        Vec::new()
    };
    TaskBatch { sequences, labels, teacher_logits }
}

/// Segment 0 up to the second sentence, 1 from there on.
fn segments_of(example: &Example) -> Vec<u32> {
    let second = example.passage.sentence_starts.get(1).map_or(usize::MAX, |start| *start as usize);
    (0..example.passage.tokens.len()).map(|position| u32::from(position >= second)).collect()
}
