//! Which layers of the teacher correspond to those of the student.

use objective::Error;
use serde::{Deserialize, Serialize};

/// The teacher's layers, counted from 0, that a student of `student` layers starts from: evenly
/// spread, the first and the last among them. DistilBERT's 0, 2, 4, 7, 9, 11 for 6 of 12
/// (`extract_distilbert.py`).
pub fn spread(teacher: usize, student: usize) -> Vec<usize> {
    let last = teacher.saturating_sub(1) as f64;
    let steps = student.saturating_sub(1).max(1) as f64;
    (0..student).map(|layer| (layer as f64 * last / steps).round() as usize).collect()
}

/// The layer of the teacher that each layer of the student learns (g(m) of Jiao et al. 2020,
/// section 4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mapping {
    /// m N / M: for 4 of 12 layers every third.
    #[default]
    Uniform,
    /// m + N - M: the last ones.
    Top,
    /// m: the first ones.
    Bottom,
}

impl Mapping {
    /// g(m) for m = 1, ..., `student`, counted from 1; a `list` that is not empty replaces it.
    ///
    /// # Errors
    /// When the student has more layers than the teacher, the layers cannot be spread evenly, or
    /// the list does not fit.
    pub fn of(self, list: &[usize], teacher: usize, student: usize) -> Result<Vec<usize>, Error> {
        if !list.is_empty() {
            if list.len() != student || list.iter().any(|layer| !(1..=teacher).contains(layer)) {
                let message = format!(
                    "must name one of the teacher's layers, 1 to {teacher}, for each of {student}"
                );
                return Err(Error(format!("layers = {list:?}: {message}")));
            }
            return Ok(list.to_vec());
        }

        if student > teacher {
            return Err(Error(format!(
                "mapping: the student has {student} layers, the teacher {teacher}; give it fewer"
            )));
        }

        match self {
            Self::Uniform if !teacher.is_multiple_of(student) => Err(Error(format!(
                "mapping = \"uniform\": {teacher} layers cannot be spread over {student}; \
                 name them in objective.layers"
            ))),
            Self::Uniform => Ok((1..=student).map(|m| m * teacher / student).collect()),
            Self::Top => Ok((1..=student).map(|m| m + teacher - student).collect()),
            Self::Bottom => Ok((1..=student).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_distilbert_are_those_of_the_authors() {
        assert_eq!(spread(12, 6), [0, 2, 4, 7, 9, 11]);
        assert_eq!(spread(4, 2), [0, 3]);
        assert_eq!(spread(4, 1), [0]);
        assert_eq!(spread(3, 3), [0, 1, 2]);
    }

    #[test]
    fn layers_of_tinybert_are_those_of_the_paper() {
        assert_eq!(Mapping::Uniform.of(&[], 12, 4).expect("fits"), [3, 6, 9, 12]);
        assert_eq!(Mapping::Top.of(&[], 12, 4).expect("fits"), [9, 10, 11, 12]);
        assert_eq!(Mapping::Bottom.of(&[], 12, 4).expect("fits"), [1, 2, 3, 4]);
        assert_eq!(Mapping::Uniform.of(&[2, 2, 5], 12, 3).expect("fits"), [2, 2, 5]);

        let message = |list: &[usize], teacher, student| {
            Mapping::Uniform.of(list, teacher, student).expect_err("refused").to_string()
        };
        assert!(message(&[], 12, 5).contains("cannot be spread over 5"));
        assert!(message(&[], 2, 4).contains("the teacher 2"));
        assert!(message(&[0, 1], 2, 2).contains("1 to 2"));
    }
}
