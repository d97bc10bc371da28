//! Sentences of tagged words from files in columns, as of CoNLL, or from JSON lines.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{self, Error, Result, utf8};

/// A sentence of words with their tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedSentence {
    /// The line of the file on which the sentence begins, from 1.
    pub line: usize,
    /// The words, at least one and none empty.
    pub words: Vec<String>,
    /// The tag of each word; empty where the file is read without tags.
    pub tags: Vec<String>,
}

/// The location of words and tags in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagSource {
    /// A word on each line and a blank line between sentences, as in CoNLL-2003. Columns count from
    /// 0; they are separated by tabs, or by spaces in lines without a tab. Lines with `-DOCSTART-`
    /// are left out; there are no comments.
    Columns {
        /// The column of the word.
        word: usize,
        /// The column of the tag; `None` for data to predict.
        tag: Option<usize>,
    },
    /// An object on each line.
    JsonLines {
        /// The field with the list of words.
        tokens: String,
        /// The field with the list of tags; `None` for data to predict.
        tags: Option<String>,
    },
}

/// Reads the sentences of a file.
///
/// # Errors
/// When the file cannot be read, is not UTF-8, or holds no sentence, or a line lacks a column, a
/// field or a tag; the message names the file and the line.
pub fn read(path: &Path, source: &TagSource) -> Result<Vec<TaggedSentence>> {
    let bytes = error::read(path)?;
    let text = utf8(&bytes, path, 1)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);

    let sentences = match source {
        TagSource::Columns { word, tag } => columns(path, text, *word, *tag),
        TagSource::JsonLines { tokens, tags } => json_lines(path, text, tokens, tags.as_deref()),
    }?;
    if sentences.is_empty() {
        return Err(Error::data(format!("{} holds no sentences", path.display())));
    }
    Ok(sentences)
}

fn columns(
    path: &Path,
    text: &str,
    word: usize,
    tag: Option<usize>,
) -> Result<Vec<TaggedSentence>> {
    let mut sentences = Vec::new();
    let mut sentence = TaggedSentence { line: 0, words: Vec::new(), tags: Vec::new() };
    // A blank line after the last line ends the last sentence.
    for (number, written) in text.lines().chain([""]).enumerate() {
        let line = number + 1;
        if written.trim().is_empty() {
            if !sentence.words.is_empty() {
                let next = TaggedSentence { line: 0, words: Vec::new(), tags: Vec::new() };
                sentences.push(std::mem::replace(&mut sentence, next));
            }
            continue;
        }
        if written.starts_with("-DOCSTART-") {
            continue;
        }

        let fields = fields_of(written);
        let field = |column, what| {
            field(&fields, column, what).map_err(|message| Error::line(path, line, message))
        };
        if sentence.words.is_empty() {
            sentence.line = line;
        }
        sentence.words.push(field(word, "word")?);
        if let Some(tag) = tag {
            sentence.tags.push(field(tag, "tag")?);
        }
    }
    Ok(sentences)
}

/// The fields of a line, separated by tabs if it has some, else by white space.
fn fields_of(line: &str) -> Vec<&str> {
    if line.contains('\t') { line.split('\t').collect() } else { line.split_whitespace().collect() }
}

/// The field in a column, which holds `what`.
fn field(fields: &[&str], column: usize, what: &str) -> std::result::Result<String, String> {
    match fields.get(column).map(|field| field.trim()) {
        Some(field) if !field.is_empty() => Ok(field.to_owned()),
        _ => {
            let last = fields.len() - 1;
            Err(format!("no {what} in column {column}; columns there are: 0 to {last}"))
        }
    }
}

fn json_lines(
    path: &Path,
    text: &str,
    tokens: &str,
    tags: Option<&str>,
) -> Result<Vec<TaggedSentence>> {
    let mut sentences = Vec::new();
    let lines = text.lines().enumerate().filter(|(_, written)| !written.trim().is_empty());
    for (number, written) in lines {
        let line = number + 1;
        let at = |message: String| Error::line(path, line, message);
        let fields: Map<String, Value> = serde_json::from_str(written)
            .map_err(|error| at(format!("no JSON object on one line: {error}")))?;

        let words = names(&fields, tokens).map_err(at)?;
        let tags =
            tags.map(|tags| names(&fields, tags)).transpose().map_err(at)?.unwrap_or_default();
        if !tags.is_empty() && tags.len() != words.len() {
            return Err(at(format!("{} tags for {} words", tags.len(), words.len())));
        }
        if !words.is_empty() {
            sentences.push(TaggedSentence { line, words, tags });
        }
    }
    Ok(sentences)
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
        read(&path, source)
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
    fn columns_are_words_and_blank_lines_end_sentences() {
        let conll = TagSource::Columns { word: 0, tag: Some(3) };
        let text =
            "-DOCSTART- -X- -X- O\n\n\nAnna NNP B-NP B-PER\nsings VBZ B-VP O\n \n# SYM O O\n";
        let expected = [sentence(4, "Anna sings", "B-PER O"), sentence(7, "#", "O")];
        assert_eq!(sentences(text, &conll).unwrap(), expected);

        let tabs = TagSource::Columns { word: 1, tag: None };
        let words = vec!["New York".into(), "city".into()];
        let expected = TaggedSentence { line: 1, words, tags: Vec::new() };
        assert_eq!(sentences("1\tNew York\r\n2\tcity\r\n", &tabs).unwrap(), [expected]);
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
    fn a_line_without_a_tag_is_refused() {
        let conll = TagSource::Columns { word: 0, tag: Some(1) };
        assert_eq!(
            fault("Anna O\nsings\n", &conll),
            ":2: no tag in column 1; columns there are: 0 to 0"
        );
        assert_eq!(fault("\n\n", &conll), " holds no sentences");
    }
}
