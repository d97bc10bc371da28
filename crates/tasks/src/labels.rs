//! The classes of a task in the order of a classifier's outputs.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The names of the classes: at least two, all distinct and not empty. The index of a name is the
/// index of its output. The names are stored beside a model, because their order differs between
/// code bases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Labels(Vec<String>);

impl Labels {
    /// The classes in a given order.
    ///
    /// # Errors
    /// When there are fewer than two names, or a name is empty or occurs twice.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.len() < 2 {
            return Err(Error::data(format!(
                "classes {}: there must be two at least",
                list(&names)
            )));
        }

        for (index, name) in names.iter().enumerate() {
            if name.trim().is_empty() {
                return Err(Error::data(format!("class {index} has no name")));
            }
            if names[..index].contains(name) {
                return Err(Error::data(format!("class `{name}` is named twice; give each once")));
            }
        }
        Ok(Self(names))
    }

    /// The classes that occur in a training set: in numeric order if all are integers, else in the
    /// order of their characters.
    ///
    /// # Errors
    /// When there are fewer than two classes; the message names the file.
    pub fn found<'a>(names: impl IntoIterator<Item = &'a str>, path: &Path) -> Result<Self> {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();

        match names[..] {
            [] => return Err(Error::data(format!("{} has no labels", path.display()))),
            [only] => {
                return Err(Error::data(format!(
                    "{}: every label is `{only}`; there is nothing to learn; give examples of \
                     another class, or choose another --label",
                    path.display()
                )));
            }
            _ => {}
        }

        if let Some(numbers) =
            names.iter().map(|name| name.parse().ok()).collect::<Option<Vec<i64>>>()
        {
            let mut numbered: Vec<(i64, &str)> = numbers.into_iter().zip(names).collect();
            numbered.sort_unstable();
            names = numbered.into_iter().map(|(_, name)| name).collect();
        }
        Self::new(names)
    }

    /// The index of a class, which a file names on `line`.
    ///
    /// # Errors
    /// When there is no such class; the message names the file, the line, and the known classes.
    pub fn index(&self, name: &str, path: &Path, line: usize) -> Result<u32> {
        self.find(name).ok_or_else(|| {
            let known = list(&self.0);
            let message = format!("the label `{name}` does not occur in training; known: {known}");
            Error::line(path, line, message)
        })
    }

    /// The index of the class of this name. Where none is written so, case does not matter; and
    /// the classes `LABEL_0`, `LABEL_1` and so on, which transformers gives to a model without
    /// names, are found by their numbers.
    pub fn find(&self, name: &str) -> Option<u32> {
        let exact = self.0.iter().position(|known| known == name);
        let number = || {
            let is_unnamed = |(index, known): (usize, &String)| *known == format!("LABEL_{index}");
            let index = name.parse::<usize>().ok().filter(|index| *index < self.0.len())?;
            self.0.iter().enumerate().all(is_unnamed).then_some(index)
        };
        exact.or_else(|| self.only_match(name)).or_else(number).map(|index| index as u32)
    }

    /// The index of the only class with this name in capitals or small letters.
    fn only_match(&self, name: &str) -> Option<usize> {
        let folded = name.to_lowercase();
        let mut found = (0..self.0.len()).filter(|index| self.0[*index].to_lowercase() == folded);
        match (found.next(), found.next()) {
            (Some(index), None) => Some(index),
            _ => None,
        }
    }

    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Labels {
    type Error = Error;

    fn try_from(names: Vec<String>) -> Result<Self> {
        Self::new(names)
    }
}

impl From<Labels> for Vec<String> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

/// The names as text, of a long list the first 30.
pub fn list(names: &[String]) -> String {
    let shown = 30.min(names.len());
    let left = names.len() - shown;
    let more = if left > 0 { format!(" and {left} more") } else { String::new() };
    format!("{}{more}", names[..shown].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Result<Labels> {
        Labels::found(names.iter().copied(), Path::new("train.tsv"))
    }

    fn names(names: &[&str]) -> Vec<String> {
        found(names).unwrap().names().to_vec()
    }

    #[test]
    fn integers_stand_in_numeric_order_and_other_names_in_that_of_their_characters() {
        assert_eq!(names(&["10", "9", "-1", "9"]), ["-1", "9", "10"]);
        assert_eq!(names(&["10", "9", "b"]), ["10", "9", "b"]);
        assert_eq!(names(&["no", "Yes", "maybe"]), ["Yes", "maybe", "no"]);
    }

    #[test]
    fn one_class_is_nothing_to_learn() {
        assert_eq!(
            found(&["good", "good"]).unwrap_err().to_string(),
            "train.tsv: every label is `good`; there is nothing to learn; give examples of another \
             class, or choose another --label"
        );
        assert_eq!(found(&[]).unwrap_err().to_string(), "train.tsv has no labels");
    }

    #[test]
    fn an_unseen_label_is_reported_with_its_location_and_the_known_ones() {
        let labels = found(&["neg", "pos"]).unwrap();
        assert_eq!(labels.index("pos", Path::new("dev.tsv"), 7).unwrap(), 1);
        assert_eq!(
            labels.index("bad", Path::new("dev.tsv"), 7).unwrap_err().to_string(),
            "dev.tsv:7: the label `bad` does not occur in training; known: neg, pos"
        );
    }

    #[test]
    fn labels_are_stored_as_a_list_and_checked_when_read() {
        let labels = Labels::new(["entailment", "not_entailment"]).unwrap();
        let stored = serde_json::to_string(&labels).unwrap();
        assert_eq!(stored, r#"["entailment","not_entailment"]"#);
        assert_eq!(serde_json::from_str::<Labels>(&stored).unwrap(), labels);
        for wrong in [r#"["a"]"#, r#"["a","a"]"#, r#"["a"," "]"#] {
            assert!(serde_json::from_str::<Labels>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn classes_are_found_whatever_their_case_and_by_their_numbers_where_they_have_no_names() {
        let labels = Labels::new(["ENTAILMENT", "Neutral", "neutral"]).unwrap();
        assert_eq!(labels.find("entailment"), Some(0));
        assert_eq!(labels.find("neutral"), Some(2));
        assert_eq!((labels.find("NEUTRAL"), labels.find("1")), (None, None));

        let unnamed = Labels::new(["LABEL_0", "LABEL_1"]).unwrap();
        assert_eq!(
            (unnamed.find("1"), unnamed.find("2"), unnamed.find("one")),
            (Some(1), None, None)
        );
    }
}
