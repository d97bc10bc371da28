//! The document in a JSON line.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// What is read of a JSON line.
#[derive(Debug, Default, PartialEq)]
pub struct JsonRecord {
    /// The text; none where the field is null.
    pub text: Option<String>,
    /// The value of the field `spans`, if it is read.
    pub spans: Option<Value>,
}

/// Reads the field `field` of the object on a line, and `spans` if asked. The values of other
/// fields are not looked at, whatever their numbers.
///
/// # Errors
/// When the line holds no object with a text in that field; the message begins with `location`.
pub fn read(line: &str, field: &str, spans: bool, location: &str) -> Result<JsonRecord> {
    let first = line.trim_start().chars().next().unwrap_or_default();
    if first == '[' {
        return Err(Error::data(format!(
            "{location}: not a JSON object but an array; write one object on each line, such as \
             with `jq -c '.[]' FILE`"
        )));
    }

    let mut deserializer = serde_json::Deserializer::from_str(line);
    let seed = RecordSeed { field, spans };
    let read = seed.deserialize(&mut deserializer).and_then(|read| {
        deserializer.end()?;
        Ok(read)
    });
    let (text, spans) = read.map_err(|error| {
        let hint = if line.trim() == "{" { "; write each object on one line" } else { "" };
        Error::data(format!("{location}: no JSON: {error}{hint}"))
    })?;

    match text {
        Some(Value::String(text)) => Ok(JsonRecord { text: Some(text), spans }),
        Some(Value::Null) => Ok(JsonRecord { text: None, spans }),
        Some(_) => Err(Error::data(format!("{location}: the field `{field}` is no string"))),
        None => Err(missing(line, field, location)),
    }
}

/// The error for an object without the field.
fn missing(line: &str, field: &str, location: &str) -> Error {
    let object: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
    let known: Vec<&str> = object.keys().map(String::as_str).collect();
    Error::data(format!(
        "{location}: there is no field `{field}`; it has: {}. Name the right one with --text-field",
        known.join(", ")
    ))
}

/// Reads the values of two fields, and passes over the others.
#[derive(Clone, Copy)]
struct RecordSeed<'a> {
    field: &'a str,
    spans: bool,
}

impl<'de> DeserializeSeed<'de> for RecordSeed<'_> {
    type Value = (Option<Value>, Option<Value>);

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_> {
    type Value = (Option<Value>, Option<Value>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let (mut text, mut spans) = (None, None);
        while let Some(key) = map.next_key_seed(KeySeed(self))? {
            match key {
                Key::Text => text = Some(map.next_value()?),
                Key::Spans => spans = Some(map.next_value()?),
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok((text, spans))
    }
}

/// What the name of a field tells.
enum Key {
    Text,
    Spans,
    Other,
}

/// Tells names of fields apart without keeping them.
struct KeySeed<'a>(RecordSeed<'a>);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> std::result::Result<Key, E> {
        Ok(match name {
            name if name == self.0.field => Key::Text,
            "spans" if self.0.spans => Key::Spans,
            _ => Key::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> std::result::Result<Option<String>, String> {
        let record = read(line, "text", false, "a.jsonl, line 1");
        record.map(|record| record.text).map_err(|error| error.to_string())
    }

    #[test]
    fn one_field_is_read_and_the_others_are_passed_over() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(text("{\"text\": \"a\\u00e9\\n\"}"), some("aé\n"));
        assert_eq!(
            text("{\"id\": 1e999, \"more\": {\"text\": \"no\"}, \"text\": \"a\"}"),
            some("a")
        );
        assert_eq!(text("{\"id\": \"\\ud800\", \"text\": \"a\"}"), some("a"));
        assert_eq!(text("{\"text\": null}"), Ok(None));
    }

    #[test]
    fn what_holds_no_text_is_named() {
        let fault = |line: &str| text(line).expect_err("refused");
        assert!(fault("[{\"text\": \"a\"}]").contains("jq -c '.[]'"));
        assert!(fault("{").ends_with("; write each object on one line"));
        assert!(fault("{\"text\": 3}").ends_with("the field `text` is no string"));
        assert!(
            fault("{\"id\": 3, \"body\": \"a\"}").contains("no field `text`; it has: body, id.")
        );
        assert!(fault("{\"text\": \"a\"} x").contains("no JSON: trailing characters"));
        assert!(fault("{\"text\": \"a\", \"score\": NaN}").contains("no JSON: "));
    }
}
