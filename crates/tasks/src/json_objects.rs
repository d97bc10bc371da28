//! JSON objects one after the other: on a line each, or in an array.

use std::path::Path;

use serde_json::{Deserializer, Map, Value};

use crate::error::{Error, Result};

/// An object and the line of the file on which it begins, from 1.
pub type Object = (usize, Map<String, Value>);

/// The objects in the text of the file at `path`: the elements of an array where the text begins
/// with a bracket, else one on each line. Blank lines hold none.
///
/// # Errors
/// When something else stands there; the message names the file and the line.
pub fn objects(path: &Path, text: &str) -> Result<Vec<Object>> {
    if text.trim_start().starts_with('[') { array(path, text) } else { lines(path, text) }
}

fn lines(path: &Path, text: &str) -> Result<Vec<Object>> {
    let written = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let object = |(number, line): (usize, &str)| {
        let object = serde_json::from_str(line).map_err(|error| {
            Error::line(path, number + 1, format!("no JSON object on one line: {error}"))
        })?;
        Ok((number + 1, object))
    };
    written.map(object).collect()
}

fn array(path: &Path, text: &str) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    let (mut rest, mut line) = (text, 1);
    advance(&mut rest, &mut line, 0);
    advance(&mut rest, &mut line, 1);

    while !rest.starts_with(']') {
        let mut stream = Deserializer::from_str(rest).into_iter::<Map<String, Value>>();
        let object = stream.next().unwrap_or_else(|| Ok(Map::new())).map_err(|error| {
            Error::line(path, line, format!("no JSON object in the array: {error}"))
        })?;
        objects.push((line, object));

        let count = stream.byte_offset();
        advance(&mut rest, &mut line, count);
        if rest.starts_with(',') {
            advance(&mut rest, &mut line, 1);
        } else if !rest.starts_with(']') {
            let message = "the array ends early: `,` or `]` belongs here";
            return Err(Error::line(path, line, message));
        }
    }
    Ok(objects)
}

/// Goes on behind `count` bytes of `rest` and the white space after them.
fn advance(rest: &mut &str, line: &mut usize, count: usize) {
    let after = rest[count..].trim_start();
    *line += rest[..rest.len() - after.len()].matches('\n').count();
    *rest = after;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, String)> {
        let objects = objects(Path::new("a.json"), text).unwrap();
        let shown = |(line, object): Object| (line, Value::from(object).to_string());
        objects.into_iter().map(shown).collect()
    }

    #[test]
    fn lines_and_arrays_hold_the_same_objects_with_their_lines() {
        let expected = |lines: [usize; 2]| {
            vec![(lines[0], "{\"a\":1}".to_owned()), (lines[1], "{\"a\":\"x]\"}".to_owned())]
        };
        assert_eq!(read("{\"a\": 1}\n\n{\"a\": \"x]\"}\n"), expected([1, 3]));
        assert_eq!(read("\n[{\"a\": 1},\n {\"a\":\n \"x]\"}\n]\n"), expected([2, 3]));
        assert_eq!(read("[]"), []);
    }

    #[test]
    fn what_is_no_object_is_named_by_its_line() {
        let fault = |text: &str| objects(Path::new("a.json"), text).unwrap_err().to_string();
        assert!(fault("{\"a\": 1}\n3\n").starts_with("a.json:2: no JSON object on one line: "));
        assert!(fault("[{},\n 3]").starts_with("a.json:2: no JSON object in the array: "));
        assert!(fault("[{}\n").starts_with("a.json:2: the array ends early"));
        assert!(fault("[{},\n").contains("the array ends early"), "{}", fault("[{},\n"));
    }
}
