//! The fields of SQuAD's JSON, with messages on those that are missing or hold something else.

use serde_json::{Map, Value};

/// The fields of an object.
pub type Fields = Map<String, Value>;
/// What was read, or what is at fault.
pub type Read<T> = Result<T, String>;

/// The texts and stated beginnings of answers: a list of objects, or as in `datasets` an object of
/// two lists.
pub fn answers(field: Option<&Value>, location: &str) -> Read<Vec<(String, i64)>> {
    match field {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(answers)) => {
            let answer = |answer: &Value| match answer.as_object() {
                Some(fields) => answer_of(fields.get("text"), fields.get("answer_start"), location),
                None => Err(wrong(Some(answer), "answers", location)),
            };
            answers.iter().map(answer).collect()
        }
        Some(Value::Object(fields)) => {
            let texts = list(fields, "text", &format!("{location}, the answers"))?;
            let starts = list(fields, "answer_start", &format!("{location}, the answers"))?;
            if texts.len() != starts.len() {
                let (texts, starts) = (texts.len(), starts.len());
                return Err(format!(
                    "{location}: {texts} texts of answers and {starts} beginnings"
                ));
            }
            let pairs = texts.iter().zip(starts);
            pairs.map(|(text, start)| answer_of(Some(text), Some(start), location)).collect()
        }
        other => Err(wrong(other, "answers", location)),
    }
}

fn answer_of(text: Option<&Value>, start: Option<&Value>, location: &str) -> Read<(String, i64)> {
    let Some(Value::String(text)) = text else {
        return Err(wrong(text, "text", &format!("{location}, an answer")));
    };
    let whole = |number: f64| (number.fract() == 0.0).then_some(number as i64);
    match start.and_then(|start| start.as_i64().or_else(|| whole(start.as_f64()?))) {
        Some(start) => Ok((text.clone(), start)),
        None => Err(wrong(start, "answer_start", &format!("{location}, the answer `{text}`"))),
    }
}

/// A field with a text.
pub fn text<'a>(fields: &'a Fields, name: &str, location: &str) -> Read<&'a str> {
    let field = fields.get(name);
    field.and_then(Value::as_str).ok_or_else(|| wrong(field, name, location))
}

/// A field with a list.
pub fn list<'a>(fields: &'a Fields, name: &str, location: &str) -> Read<&'a [Value]> {
    let field = fields.get(name);
    field.and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| wrong(field, name, location))
}

/// The message on a field that is missing or holds something else than it should.
pub fn wrong(field: Option<&Value>, name: &str, location: &str) -> String {
    let needed = match name {
        "id" => "a text or a number",
        "is_impossible" => "true or false",
        "answer_start" => "a number of characters",
        "paragraphs" | "qas" | "answers" => "a list",
        _ => "a text",
    };
    match field {
        None => format!("{location}: no field `{name}`"),
        Some(value) => format!("{location}: `{name}` is {}, where {needed} belongs", brief(value)),
    }
}

/// The beginning of a value as text.
pub fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
