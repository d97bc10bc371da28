//! Paragraphs, questions and answers.

use std::ops::Range;

/// The paragraphs of a file with their questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Squad {
    /// They, in the order of the file; with at least one question in all.
    pub paragraphs: Vec<Paragraph>,
    /// The answers that do not stand where the file says.
    pub misplaced: Vec<Misplaced>,
}

/// A paragraph and the questions about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paragraph {
    /// Of its article.
    pub title: String,
    /// Its text.
    pub context: String,
    /// The questions, each with an id that is the only one of the file.
    pub questions: Vec<Question>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What predictions call it.
    pub id: String,
    /// Its text.
    pub text: String,
    /// What annotators answered; none where they say that there is no answer, and in data that is
    /// to be predicted.
    pub answers: Vec<Answer>,
    /// Whether the paragraph does not answer it; always false in SQuAD 1.1.
    pub impossible: bool,
}

/// An answer of an annotator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its text, as the file has it.
    pub text: String,
    /// The bytes of the context it stands in, without white space at its ends. The file counts
    /// Unicode characters. `None` where the context does not have it.
    pub range: Option<Range<usize>>,
}

/// An answer that does not stand where the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// Of the question.
    pub id: String,
    /// Of the answer.
    pub text: String,
    /// The beginning that the file states, in characters of the context.
    pub stated: usize,
    /// The beginning of the nearest occurrence, in characters, which is taken instead. `None` if
    /// there is none.
    pub found: Option<usize>,
}

impl Squad {
    /// All questions with their paragraphs, in the order of the file.
    pub fn questions(&self) -> impl Iterator<Item = (&Paragraph, &Question)> {
        self.paragraphs.iter().flat_map(|paragraph| {
            paragraph.questions.iter().map(move |question| (paragraph, question))
        })
    }

    /// Whether some questions have no answer, as in SQuAD 2.0.
    pub fn has_impossible(&self) -> bool {
        self.questions().any(|(_, question)| question.impossible)
    }
}

impl Question {
    /// The answer to learn: the first one that stands in the context; `None` for a question without
    /// one.
    pub fn target(&self) -> Option<&Range<usize>> {
        if self.impossible {
            None
        } else {
            self.answers.iter().find_map(|answer| answer.range.as_ref())
        }
    }
}
