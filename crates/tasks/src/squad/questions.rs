//! Paragraphs, questions and answers.

use std::ops::Range;

/// The paragraphs of a file with their questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Squad {
    /// The paragraphs in the order of the file, with at least one question in all.
    pub paragraphs: Vec<Paragraph>,
    /// The answers that are not at the position that the file states.
    pub misplaced: Vec<Misplaced>,
    /// What was read otherwise than it is written, a sentence each.
    pub remarks: Vec<String>,
}

/// A paragraph and the questions about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paragraph {
    /// The title of the article.
    pub title: String,
    /// The text of the paragraph.
    pub context: String,
    /// The questions, whose ids are unique in the file.
    pub questions: Vec<Question>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The id, which predictions refer to.
    pub id: String,
    /// The text of the question.
    pub text: String,
    /// The answers of the annotators; empty where they found none, and in data to predict.
    pub answers: Vec<Answer>,
    /// Whether the paragraph does not answer the question; always false in SQuAD 1.1. In a file
    /// that does not say so, whether other questions have answers and this one has none.
    pub impossible: bool,
}

/// An answer of an annotator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The text as written in the file.
    pub text: String,
    /// The bytes of the answer in the context, without white space at its ends (the file counts
    /// Unicode characters). `None` where the context does not contain it.
    pub range: Option<Range<usize>>,
}

/// An answer that is not at the position that the file states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// The id of the question.
    pub id: String,
    /// The text of the answer.
    pub text: String,
    /// The beginning that the file states, in characters of the context.
    pub stated: i64,
    /// The beginning of the nearest occurrence, in characters, which is taken instead; `None` if
    /// the context does not contain the answer.
    pub found: Option<usize>,
}

impl Squad {
    /// All questions with their paragraphs, in the order of the file.
    pub fn questions(&self) -> impl Iterator<Item = (&Paragraph, &Question)> {
        self.paragraphs.iter().flat_map(|paragraph| {
            paragraph.questions.iter().map(move |question| (paragraph, question))
        })
    }

    /// Whether annotators gave answers: not in data to predict.
    pub fn has_answers(&self) -> bool {
        self.questions().any(|(_, question)| !question.answers.is_empty())
    }

    /// Whether some questions have no answer, as in SQuAD 2.0.
    pub fn has_impossible(&self) -> bool {
        self.questions().any(|(_, question)| question.impossible)
    }
}

impl Question {
    /// The answer to learn: the first one that the context contains; `None` for a question without
    /// such an answer.
    pub fn target(&self) -> Option<&Range<usize>> {
        if self.impossible {
            None
        } else {
            self.answers.iter().find_map(|answer| answer.range.as_ref())
        }
    }
}
