//! The JSON of SQuAD: articles of paragraphs as it is released, or the flat rows of `datasets`.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use super::anchor::{Location, locate};
use super::fields::{Fields, Read, answers, brief, list, text, wrong};
use super::questions::{Answer, Misplaced, Paragraph, Question, Squad};
use crate::error::{Error, Result};
use crate::json_objects::objects;
use crate::text::read_text;

/// Reads a file. See [`Squad::open`].
pub fn read(path: &Path) -> Result<Squad> {
    let text = read_text(path)?;
    let at_fault = |message: String| Error::data(format!("{}: {message}", path.display()));
    let items = items(path, &text)?;

    let mut reader = Reader::default();
    for (number, item) in items.iter().enumerate() {
        reader.item(number, item).map_err(at_fault)?;
    }
    let squad = reader.finish();
    if squad.questions().next().is_none() {
        return Err(at_fault("there are no questions".to_owned()));
    }
    Ok(squad)
}

/// The articles or rows of a file: the list `data` of an object, an array, or an object on each
/// line.
fn items(path: &Path, text: &str) -> Result<Vec<Value>> {
    let at_fault = |message: String| Error::data(format!("{}: {message}", path.display()));
    match serde_json::from_str(text) {
        Ok(Value::Array(items)) => Ok(items),
        Ok(Value::Object(mut file)) => match file.remove("data") {
            Some(Value::Array(items)) => Ok(items),
            None if file.contains_key("context") => Ok(vec![Value::Object(file)]),
            _ => Err(at_fault("no field `data` with the articles".to_owned())),
        },
        Ok(_) => Err(at_fault("this is no SQuAD file: no object and no array".to_owned())),
        // Several objects, one after the other.
        Err(error) if error.to_string().starts_with("trailing characters") => {
            let rows = objects(path, text)?;
            Ok(rows.into_iter().map(|(_, row)| Value::Object(row)).collect())
        }
        Err(error) => Err(at_fault(format!("this is no SQuAD file: {error}"))),
    }
}

/// Collects the paragraphs of a file.
#[derive(Default)]
struct Reader {
    squad: Squad,
    ids: HashSet<String>,
    /// Ids of questions that neither have an answer nor say whether they have one.
    silent: HashSet<String>,
}

impl Reader {
    /// Reads an article or a row.
    fn item(&mut self, number: usize, item: &Value) -> Read<()> {
        let Some(fields) = item.as_object() else {
            return Err(format!("article {number} is {}, not an object", brief(item)));
        };
        let title = fields.get("title").and_then(Value::as_str).unwrap_or_default();
        if fields.contains_key("context") && fields.contains_key("question") {
            return self.row(number, title, fields);
        }

        let location = format!("article {number} ({title})");
        for (number, paragraph) in list(fields, "paragraphs", &location)?.iter().enumerate() {
            let location = format!("{location}, paragraph {number}");
            let Some(fields) = paragraph.as_object() else {
                return Err(format!("{location} is {}, not an object", brief(paragraph)));
            };
            self.paragraph(title, fields, &location)?;
        }
        Ok(())
    }

    /// Reads a flat row: a question with its context.
    fn row(&mut self, number: usize, title: &str, fields: &Fields) -> Read<()> {
        let location = format!("row {number}");
        let context = text(fields, "context", &location)?;
        let question = self.question(fields, context, number, &location)?;

        // Rows about one paragraph follow each other.
        match self.squad.paragraphs.last_mut() {
            Some(last) if last.context == context => last.questions.push(question),
            _ => self.squad.paragraphs.push(Paragraph {
                title: title.to_owned(),
                context: context.to_owned(),
                questions: vec![question],
            }),
        }
        Ok(())
    }

    fn paragraph(&mut self, title: &str, fields: &Fields, location: &str) -> Read<()> {
        let context = text(fields, "context", location)?;
        let mut questions = Vec::new();
        for (number, question) in list(fields, "qas", location)?.iter().enumerate() {
            let Some(fields) = question.as_object() else {
                return Err(format!("{location}, question {number} is {}", brief(question)));
            };
            questions.push(self.question(fields, context, number, location)?);
        }

        let (title, context) = (title.to_owned(), context.to_owned());
        self.squad.paragraphs.push(Paragraph { title, context, questions });
        Ok(())
    }

    fn question(
        &mut self,
        fields: &Fields,
        context: &str,
        number: usize,
        location: &str,
    ) -> Read<Question> {
        let id = match fields.get("id") {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            other => return Err(wrong(other, "id", &format!("{location}, question {number}"))),
        };
        if !self.ids.insert(id.clone()) {
            return Err(format!(
                "{location}: the question id {id} is there twice; give each its own"
            ));
        }

        let location = format!("{location}, question {id}");
        let question = text(fields, "question", &location)?.to_owned();
        let answers = answers(fields.get("answers"), &location)?;
        let impossible = match fields.get("is_impossible") {
            None | Some(Value::Null) => {
                if answers.is_empty() {
                    self.silent.insert(id.clone());
                }
                false
            }
            Some(Value::Bool(impossible)) => *impossible,
            other => return Err(wrong(other, "is_impossible", &location)),
        };

        let answers =
            answers.into_iter().map(|(text, stated)| self.place(&id, text, stated, context));
        Ok(Question { text: question, answers: answers.collect(), impossible, id })
    }

    /// An answer in its context, noted where it does not stand as stated.
    fn place(&mut self, id: &str, text: String, stated: i64, context: &str) -> Answer {
        let (range, found) = match locate(context, &text, stated) {
            Location::AsStated(range) => return Answer { text, range: Some(range) },
            Location::Nearest(range) => {
                let found = context[..range.start].chars().count();
                (Some(range), Some(found))
            }
            Location::Nowhere => (None, None),
        };
        self.squad.misplaced.push(Misplaced {
            id: id.to_owned(),
            text: text.clone(),
            stated,
            found,
        });
        Answer { text, range }
    }

    /// The questions. Where some have an answer, those without that do not say `is_impossible` have
    /// none in their paragraph, as in SQuAD 2.0.
    fn finish(self) -> Squad {
        let Self { mut squad, silent, .. } = self;
        let has_answers = squad.questions().any(|(_, question)| !question.answers.is_empty());
        if silent.is_empty() || !has_answers {
            return squad;
        }

        let questions = squad.paragraphs.iter_mut().flat_map(|paragraph| &mut paragraph.questions);
        questions.for_each(|question| question.impossible |= silent.contains(&question.id));
        squad.remarks.push(format!(
            "{} questions have no answer and no field `is_impossible`; they count as impossible, \
             as in SQuAD 2.0",
            silent.len()
        ));
        squad
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

        assert!(fault(&json!(3)).starts_with("this is no SQuAD file: "));
        assert_eq!(fault(&json!([])), "there are no questions");
        assert_eq!(fault(&json!({"data": []})), "there are no questions");
        let twice = json!([{"id": "x", "question": "?"}, {"id": "x", "question": "?"}]);
        assert_eq!(
            fault(&file(&twice)),
            "article 0 (Brno), paragraph 0: the question id x is there twice; give each its own"
        );
    }

    #[test]
    fn what_is_no_text_and_no_number_is_told_with_its_question() {
        let question = |question: Value| fault(&file(&json!([question])));
        let location = "article 0 (Brno), paragraph 0, question";
        let answer = |start: Value| {
            let answers = json!([{"text": "Brno", "answer_start": start}]);
            question(json!({"id": "q7", "question": "Where?", "answers": answers}))
        };

        for (start, shown) in [(json!(null), "null"), (json!("16"), "\"16\""), (json!(1.5), "1.5")]
        {
            assert_eq!(
                answer(start),
                format!(
                    "{location} q7, the answer `Brno`: `answer_start` is {shown}, where a number of \
                     characters belongs"
                )
            );
        }
        assert_eq!(
            question(json!({"id": null, "question": "Where?"})),
            format!("{location} 0: `id` is null, where a text or a number belongs")
        );
        assert_eq!(
            question(json!({"id": "q7", "question": ["Where?"]})),
            format!("{location} q7: `question` is [\"Where?\"], where a text belongs")
        );
        assert_eq!(
            question(json!({"id": "q7", "question": "Where?", "is_impossible": 0})),
            format!("{location} q7: `is_impossible` is 0, where true or false belongs")
        );
    }

    #[test]
    fn numbers_as_ids_beginnings_before_the_text_and_answers_that_are_null_are_read() {
        let squad = open(&file(&json!([
            {"id": 7, "question": "Where?", "answers": [{"text": "Brno", "answer_start": -1}]},
            {"id": "b", "question": "Who?", "answers": [{"text": "Zoë", "answer_start": 0.0}]},
            {"id": "c", "question": "Why?", "answers": null, "is_impossible": true},
        ])))
        .unwrap();

        let ids: Vec<&str> = squad.questions().map(|(_, question)| question.id.as_str()).collect();
        assert_eq!(ids, ["7", "b", "c"]);
        let moved =
            Misplaced { id: "7".to_owned(), text: "Brno".to_owned(), stated: -1, found: Some(16) };
        assert_eq!(squad.misplaced, [moved]);
    }

    #[test]
    fn a_question_without_an_answer_is_impossible_where_others_have_one() {
        let answered =
            json!({"id": "a", "question": "Who?", "answers": [{"text": "Zoë", "answer_start": 0}]});
        let silent = json!({"id": "b", "question": "Why?", "answers": []});
        let squad = open(&file(&json!([answered, silent]))).unwrap();
        let impossible: Vec<bool> =
            squad.questions().map(|(_, question)| question.impossible).collect();
        assert_eq!(impossible, [false, true]);
        assert!(squad.remarks[0].starts_with("1 questions have no answer and no field"));

        // Data to predict have no answers at all.
        let squad = open(&file(&json!([silent]))).unwrap();
        assert!(!squad.has_impossible() && squad.remarks.is_empty());
    }

    #[test]
    fn the_flat_rows_of_datasets_are_read_in_every_wrapping() {
        let row = |id: &str, texts: Value, starts: Value| {
            json!({
                "id": id, "title": "Brno", "context": "Zoë met Čech.", "question": "Who?",
                "answers": {"text": texts, "answer_start": starts},
            })
        };
        let rows = [row("a", json!(["Čech"]), json!([8])), row("b", json!([]), json!([]))];

        let lines = format!("\u{feff}{}\n{}\n", rows[0], rows[1]);
        let array = json!(rows).to_string();
        let data = json!({"version": "x", "data": rows}).to_string();
        for (name, content) in [("a.jsonl", &lines), ("a.json", &array), ("b.json", &data)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let squad = Squad::open(&path).unwrap();
            assert_eq!(squad.paragraphs.len(), 1, "{name}");
            let targets: Vec<_> =
                squad.questions().map(|(_, question)| question.target().cloned()).collect();
            assert_eq!(targets, [Some(9..14), None], "{name}");
            assert!(squad.has_impossible());
        }

        let uneven = json!([row("a", json!(["Čech"]), json!([]))]);
        assert_eq!(fault(&uneven), "row 0, question a: 1 texts of answers and 0 beginnings");
    }
}
