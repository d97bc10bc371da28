//! Sentences of tagged words from files in columns, as of CoNLL, or from JSON lines.

use std::path::Path;

use serde_json::{Map, Value};

use super::columns;
use super::tagged::{TaggedSentence, TaggedText};
use crate::error::{Error, Result};
use crate::json_objects::objects;
use crate::table::MissingLabel;
use crate::text::read_text;

/// The location of words and tags in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagSource {
    /// A word on each line and a blank line between sentences, as in CoNLL-2003 and CoNLL-U. Comments
    /// and the ranges of words of CoNLL-U are left out.
    Columns {
        /// The column of the word, counted from 0.
        word: usize,
        /// The column of the tag; `None` for data to predict.
        tag: Option<usize>,
    },
    /// JSON objects, one on each line or in an array.
    JsonLines {
        /// The field with the list of words.
        tokens: String,
        /// The field with the list of tags; `None` for data to predict.
        tags: Option<String>,
    },
}

/// Reads the sentences of a file. With [`MissingLabel::Allow`], a sentence that lacks a tag is read
/// without tags.
///
/// # Errors
/// When the file cannot be read, is not UTF-8, or holds no sentence, or a line lacks a column, a
/// field or a tag; the message names the file and the line.
pub fn read(path: &Path, source: &TagSource, missing: MissingLabel) -> Result<TaggedText> {
    let text = read_text(path)?;
    let read = match source {
        TagSource::Columns { word, tag } => columns::read(path, &text, *word, *tag, missing),
        TagSource::JsonLines { tokens, tags } => {
            let sentences = json_lines(path, &text, tokens, tags.as_deref(), missing)?;
            Ok(TaggedText { sentences, remarks: Vec::new() })
        }
    }?;
    if read.sentences.is_empty() {
        return Err(Error::data(format!("{} holds no sentences", path.display())));
    }
    Ok(read)
}

fn json_lines(
    path: &Path,
    text: &str,
    tokens: &str,
    tags: Option<&str>,
    missing: MissingLabel,
) -> Result<Vec<TaggedSentence>> {
    let mut sentences = Vec::new();
    for (line, fields) in objects(path, text)? {
        let at = |message: String| Error::line(path, line, message);
        let words = names(&fields, tokens).map_err(at)?;
        if words.is_empty() {
            continue;
        }

        let tags = match tags {
            Some(tags) => match (tags_of(&fields, tags, words.len()), missing) {
                (Err(_), MissingLabel::Allow) => Vec::new(),
                (tags, _) => tags.map_err(at)?,
            },
            None => Vec::new(),
        };
        sentences.push(TaggedSentence { line, words, tags });
    }
    Ok(sentences)
}

/// The tags in a field, one for each of `words` words.
fn tags_of(
    fields: &Map<String, Value>,
    name: &str,
    words: usize,
) -> std::result::Result<Vec<String>, String> {
    let tags: Vec<String> =
        names(fields, name)?.into_iter().map(|tag| tag.trim().to_owned()).collect();
    if tags.len() == words {
        Ok(tags)
    } else {
        Err(format!("{} tags for {words} words", tags.len()))
    }
}

/// The list in a field, of names or integers, none empty.
fn names(fields: &Map<String, Value>, name: &str) -> std::result::Result<Vec<String>, String> {
    let there = || fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let list = fields
        .get(name)
        .ok_or_else(|| format!("no field `{name}`; fields there are: {}", there()))?;
    let list = list.as_array().ok_or_else(|| format!("`{name}` is no list"))?;

    let one = |value: &Value| match value {
        Value::String(one) if !one.trim().is_empty() => Ok(one.clone()),
        Value::Number(one) => Ok(one.to_string()),
        other => Err(format!("`{name}` holds {other}, where a word in quotes belongs")),
    };
    list.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(content: &str, source: &TagSource) -> Result<Vec<TaggedSentence>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.x");
        std::fs::write(&path, content).unwrap();
        Ok(read(&path, source, MissingLabel::Refuse)?.sentences)
    }

    fn fault(content: &str, source: &TagSource) -> String {
        let message = sentences(content, source).unwrap_err().to_string();
        message.split_once("train.x").expect("the message names the file").1.to_owned()
    }

    fn sentence(line: usize, words: &str, tags: &str) -> TaggedSentence {
        let split = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        TaggedSentence { line, words: split(words), tags: split(tags) }
    }

    #[test]
    fn json_lines_hold_two_lists() {
        let source =
            TagSource::JsonLines { tokens: "words".to_owned(), tags: Some("ner".to_owned()) };
        let text = "{\"words\": [\"Anna\", \"sings\"], \"ner\": [\"B-PER\", \"O\"]}\n\n\
                    {\"words\": [\"a\"], \"ner\": [3]}\n";
        assert_eq!(
            sentences(text, &source).unwrap(),
            [sentence(1, "Anna sings", "B-PER O"), sentence(3, "a", "3")]
        );

        assert_eq!(
            fault("{\"words\": [\"a\", \"b\"], \"ner\": [\"O\"]}", &source),
            ":1: 1 tags for 2 words"
        );
        assert_eq!(
            fault("{\"tokens\": []}", &source),
            ":1: no field `words`; fields there are: tokens"
        );
        assert_eq!(
            fault("{\"words\": [\"\"], \"ner\": [\"O\"]}", &source),
            ":1: `words` holds \"\", where a word in quotes belongs"
        );
    }

    #[test]
    fn a_sentence_to_predict_may_lack_its_tags() {
        let source =
            TagSource::JsonLines { tokens: "words".to_owned(), tags: Some("ner".to_owned()) };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.json");
        let text = "[{\"words\": [\"Anna\"], \"ner\": [\"B-PER \"]}, {\"words\": [\"sings\"]}]";
        std::fs::write(&path, text).unwrap();

        let tags = |missing| {
            let read = read(&path, &source, missing)?;
            Ok(read.sentences.into_iter().map(|sentence| sentence.tags).collect::<Vec<_>>())
        };
        let allowed: Result<_> = tags(MissingLabel::Allow);
        assert_eq!(allowed.unwrap(), [vec!["B-PER".to_owned()], Vec::new()]);
        let refused: Result<Vec<_>> = tags(MissingLabel::Refuse);
        assert!(
            refused.unwrap_err().to_string().ends_with("no field `ner`; fields there are: words")
        );
    }
}
