//! The JSON of SQuAD.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use super::anchor::{Location, locate};
use super::questions::{Answer, Misplaced, Paragraph, Question, Squad};
use crate::error::{self, Error, Result, utf8};

/// The file as written. Every field is optional, so that the message on a missing one can name the
/// question.
#[derive(Deserialize)]
struct File {
    data: Option<Vec<Article>>,
}

#[derive(Deserialize)]
struct Article {
    title: Option<String>,
    paragraphs: Option<Vec<RawParagraph>>,
}

#[derive(Deserialize)]
struct RawParagraph {
    context: Option<String>,
    qas: Option<Vec<RawQuestion>>,
}

#[derive(Deserialize)]
struct RawQuestion {
    id: Option<String>,
    question: Option<String>,
    #[serde(default)]
    answers: Vec<RawAnswer>,
    #[serde(default)]
    is_impossible: bool,
}

#[derive(Deserialize)]
struct RawAnswer {
    text: Option<String>,
    answer_start: Option<usize>,
}

/// Reads a file. See [`Squad::open`].
pub fn read(path: &Path) -> Result<Squad> {
    let bytes = error::read(path)?;
    let at_fault = |message: String| Error::data(format!("{}: {message}", path.display()));
    let file: File = serde_json::from_str(utf8(&bytes, path, 1)?)
        .map_err(|error| at_fault(format!("this is no SQuAD file: {error}")))?;

    let articles =
        file.data.ok_or_else(|| at_fault("no field `data` with the articles".to_owned()))?;
    let squad = articles_of(articles).map_err(at_fault)?;
    if squad.questions().next().is_none() {
        return Err(at_fault("there are no questions".to_owned()));
    }
    Ok(squad)
}

fn articles_of(articles: Vec<Article>) -> std::result::Result<Squad, String> {
    let mut squad = Squad::default();
    let mut ids = HashSet::new();
    for (number, article) in articles.into_iter().enumerate() {
        let title = article.title.unwrap_or_default();
        let location = format!("article {number} ({title})");
        let paragraphs = required(article.paragraphs, "paragraphs", &location)?;

        for (number, paragraph) in paragraphs.into_iter().enumerate() {
            let location = format!("{location}, paragraph {number}");
            let context = required(paragraph.context, "context", &location)?;
            let questions = required(paragraph.qas, "qas", &location)?;
            let questions =
                questions_of(questions, &context, &location, &mut ids, &mut squad.misplaced)?;
            squad.paragraphs.push(Paragraph { title: title.clone(), context, questions });
        }
    }
    Ok(squad)
}

/// The questions of a paragraph, whose ids join `ids`.
fn questions_of(
    questions: Vec<RawQuestion>,
    context: &str,
    paragraph: &str,
    ids: &mut HashSet<String>,
    misplaced: &mut Vec<Misplaced>,
) -> std::result::Result<Vec<Question>, String> {
    let mut read = Vec::with_capacity(questions.len());
    for (number, question) in questions.into_iter().enumerate() {
        let question = read_question(question, context, number, paragraph, misplaced)?;

        if !ids.insert(question.id.clone()) {
            return Err(format!(
                "{paragraph}: the question id {} is there twice; give each its own",
                question.id
            ));
        }
        read.push(question);
    }
    Ok(read)
}

fn read_question(
    question: RawQuestion,
    context: &str,
    number: usize,
    paragraph: &str,
    misplaced: &mut Vec<Misplaced>,
) -> std::result::Result<Question, String> {
    let id = required(question.id, "id", &format!("{paragraph}, question {number}"))?;
    let location = format!("{paragraph}, question {id}");
    let text = required(question.question, "question", &location)?;

    let mut answers = Vec::new();
    for answer in question.answers {
        let text = required(answer.text, "text", &format!("{location}, an answer"))?;
        let location = format!("{location}, the answer `{text}`");
        let stated = required(answer.answer_start, "answer_start", &location)?;

        let mut note = |found| {
            misplaced.push(Misplaced { id: id.clone(), text: text.clone(), stated, found });
        };
        let range = match locate(context, &text, stated) {
            Location::AsStated(range) => Some(range),
            Location::Nearest(range) => {
                note(Some(context[..range.start].chars().count()));
                Some(range)
            }
            Location::Nowhere => {
                note(None);
                None
            }
        };
        answers.push(Answer { text, range });
    }
    Ok(Question { id, text, answers, impossible: question.is_impossible })
}

fn required<T>(field: Option<T>, name: &str, location: &str) -> std::result::Result<T, String> {
    field.ok_or_else(|| format!("{location}: no field `{name}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn open(content: &Value) -> Result<Squad> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev.json");
        std::fs::write(&path, content.to_string()).unwrap();
        Squad::open(&path)
    }

    fn fault(content: &Value) -> String {
        let message = open(content).unwrap_err().to_string();
        message.split_once("dev.json: ").expect("the message names the file").1.to_owned()
    }

    /// A file with one paragraph.
    fn file(questions: &Value) -> Value {
        let paragraph = json!({"context": "Zoë met Čech in Brno. Čech left.", "qas": questions});
        json!({"version": "v2.0", "data": [{"title": "Brno", "paragraphs": [paragraph]}]})
    }

    #[test]
    fn questions_with_and_without_answers_are_read() {
        let squad = open(&file(&json!([
            {
                "id": "a", "question": "Who?", "is_impossible": false,
                "answers": [{"text": "Čech ", "answer_start": 8}]
            },
            {
                "id": "b", "question": "Why?", "is_impossible": true, "answers": [],
                "plausible_answers": [{"text": "Brno", "answer_start": 16}]
            },
        ])))
        .unwrap();

        let questions: Vec<&Question> = squad.questions().map(|(_, question)| question).collect();
        let answer = Answer { text: "Čech ".to_owned(), range: Some(9..14) };
        assert_eq!(questions[0].answers, [answer]);
        assert_eq!(questions[0].target(), Some(&(9..14)));
        assert_eq!((questions[1].impossible, questions[1].target()), (true, None));
        assert!(squad.has_impossible() && squad.misplaced.is_empty());
    }

    #[test]
    fn answers_out_of_place_are_moved_and_told() {
        let squad = open(&file(&json!([{"id": "a", "question": "Who?", "answers": [
            {"text": "Oslo", "answer_start": 3},
            {"text": "Čech", "answer_start": 21},
            {"text": "Zoë", "answer_start": 0},
        ]}])))
        .unwrap();

        let misplaced = |text: &str, stated, found| Misplaced {
            id: "a".to_owned(),
            text: text.to_owned(),
            stated,
            found,
        };
        assert_eq!(squad.misplaced, [misplaced("Oslo", 3, None), misplaced("Čech", 21, Some(22))]);
        let paragraph = &squad.paragraphs[0];
        assert_eq!(paragraph.context[paragraph.questions[0].target().unwrap().clone()], *"Čech");
    }

    #[test]
    fn a_missing_field_is_told_with_its_location() {
        let question = |question: Value| fault(&file(&json!([question])));
        let location = "article 0 (Brno), paragraph 0, question";

        assert_eq!(question(json!({"question": "Who?"})), format!("{location} 0: no field `id`"));
        assert_eq!(question(json!({"id": "q7"})), format!("{location} q7: no field `question`"));
        assert_eq!(
            question(json!({"id": "q7", "question": "Who?", "answers": [{"text": "Zoë"}]})),
            format!("{location} q7, the answer `Zoë`: no field `answer_start`")
        );

        assert_eq!(fault(&json!({})), "no field `data` with the articles");
        assert_eq!(
            fault(&json!({"data": [{"title": "A"}]})),
            "article 0 (A): no field `paragraphs`"
        );

        assert!(fault(&json!([])).starts_with("this is no SQuAD file: "));
        assert_eq!(fault(&json!({"data": []})), "there are no questions");
        let twice = json!([{"id": "x", "question": "?"}, {"id": "x", "question": "?"}]);
        assert_eq!(
            fault(&file(&twice)),
            "article 0 (Brno), paragraph 0: the question id x is there twice; give each its own"
        );
    }
}
