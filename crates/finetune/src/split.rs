//! The rows of a file with their gold standard.

use ::objective::LabelledSequence;
use tasks::tagging::TaggedSentence;
use tasks::{AnswerContext, Question, Squad, Window};

/// Rows and their gold standard.
#[derive(Clone, Debug)]
pub struct Split {
    /// The name of the split in results.
    pub name: String,
    /// The rows.
    pub rows: Vec<LabelledSequence>,
    /// The part of the gold standard that the rows do not hold.
    pub gold: Gold,
}

/// What the rows of a split do not hold.
#[derive(Clone, Debug)]
pub enum Gold {
    /// The rows as they are written, in the order of the file.
    Rows(Vec<RowText>),
    /// Words and tags, and for each sentence the positions of the words' first tokens in its row.
    Tags(Vec<TaggedSentence>, Vec<Vec<usize>>),
    /// The questions, and the context and windows of each; the rows are the windows, in this order.
    Questions(Box<Squad>, Vec<(AnswerContext, Vec<Window>)>),
}

/// A row of a table as it is written, to which a prediction is joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowText {
    /// The row's id, where the table has a column of ids.
    pub id: Option<String>,
    /// The text.
    pub first: String,
    /// The other text of a pair.
    pub second: Option<String>,
    /// The class or the score, where the row has one.
    pub gold: Option<String>,
}

impl Split {
    /// The number of rows, sentences or questions in the file.
    pub fn examples(&self) -> usize {
        match &self.gold {
            Gold::Questions(squad, _) => squad.questions().count(),
            Gold::Rows(_) | Gold::Tags(..) => self.rows.len(),
        }
    }

    /// Whether there is a gold standard for all of it.
    pub fn is_labelled(&self) -> bool {
        match &self.gold {
            Gold::Questions(squad, _) => squad.has_answers(),
            Gold::Rows(_) | Gold::Tags(..) => self.rows.iter().all(|row| row.label.is_some()),
        }
    }

    /// The number of rows, sentences or questions with a label in the file, and the number of those
    /// with one that the model knows.
    pub fn labelled(&self) -> [usize; 2] {
        let known = self.rows.iter().filter(|row| row.label.is_some()).count();
        match &self.gold {
            Gold::Rows(texts) => [texts.iter().filter(|text| text.gold.is_some()).count(), known],
            Gold::Tags(..) => [known; 2],
            Gold::Questions(squad, _) => {
                let answered = |question: &Question| !question.answers.is_empty();
                [squad.questions().filter(|(_, question)| answered(question)).count(); 2]
            }
        }
    }
}
