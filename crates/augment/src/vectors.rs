//! Word vectors from text files of word2vec, GloVe or fastText, or from a table of the caller.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Words and their vectors, each of length 1 or all zero.
#[derive(Clone, Debug)]
pub struct Vectors {
    words: Vec<String>,
    rows: HashMap<String, usize>,
    width: usize,
    /// The vectors as read.
    values: Vec<f32>,
    /// The vectors scaled to length 1.
    units: Vec<f32>,
}

impl Vectors {
    /// Reads the first `limit` words of a text file, which may be compressed (`.gz`). Each line is
    /// a word and its numbers; a first line of two counts, as of word2vec and fastText, is skipped.
    ///
    /// # Errors
    /// When the file cannot be read, or a line has another number of values than the first; the
    /// message names the line.
    pub fn open(path: &Path, limit: usize) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let is_compressed = path.extension().is_some_and(|ending| ending == "gz");
        let reader: Box<dyn Read> =
            if is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Self::read(BufReader::new(reader), limit, path)
    }

    fn read(mut reader: impl BufRead, limit: usize, path: &Path) -> Result<Self> {
        let (mut words, mut values, mut width) = (Vec::new(), Vec::new(), 0);
        let (mut bytes, mut line) = (Vec::new(), 0);
        while words.len() < limit {
            bytes.clear();
            // No line of a vector is as long.
            let read = reader
                .by_ref()
                .take(1 << 20)
                .read_until(b'\n', &mut bytes)
                .map_err(Error::io("read", path))?;
            if read == 0 {
                break;
            }
            line += 1;

            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_end_matches(['\n', '\r', ' ']);
            if line == 1 && is_header(text) || text.trim().is_empty() {
                continue;
            }
            let fields: Vec<&str> = text.split([' ', '\t']).collect();
            if width == 0 {
                // Some of GloVe's words contain spaces, but not the first one.
                width = fields.len() - 1;
            }
            let word = read_fields(&fields, width, &mut values)
                .map_err(|what| Error::Data(format!("{}, line {line}: {what}", path.display())))?;
            words.push(word);
        }

        if words.is_empty() {
            return Err(Error::Data(format!("{} has no word vectors", path.display())));
        }
        Ok(Self::from_table(words, values))
    }

    /// A table of `values`, one row for each of `words`. If a word occurs twice, its first row is
    /// used.
    ///
    /// # Panics
    /// When the rows are not equally long.
    pub fn from_table(words: Vec<String>, values: Vec<f32>) -> Self {
        let width = values.len() / words.len().max(1);
        assert_eq!(words.len() * width, values.len(), "a row a word");

        let mut rows = HashMap::new();
        for (row, word) in words.iter().enumerate() {
            rows.entry(word.clone()).or_insert(row);
        }

        let mut units = values.clone();
        for row in units.chunks_exact_mut(width.max(1)) {
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            if norm > 0.0 {
                row.iter_mut().for_each(|x| *x /= norm);
            }
        }

        Self { words, rows, width, values, units }
    }

    /// Length of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The vector of a word as read, or of its lower-cased form.
    pub fn get(&self, word: &str) -> Option<&[f32]> {
        let row = self.row(word)?;
        Some(&self.values[row * self.width..(row + 1) * self.width])
    }

    fn row(&self, word: &str) -> Option<usize> {
        self.rows.get(word).or_else(|| self.rows.get(&word.to_lowercase())).copied()
    }

    /// The `k` other words whose vectors are at the smallest angles to that of `word`, the nearest
    /// first; none where it has no vector.
    pub fn nearest(&self, word: &str, k: usize) -> Vec<&str> {
        let Some(row) = self.row(word) else { return Vec::new() };
        let unit = &self.units[row * self.width..(row + 1) * self.width];
        let cosine = |other: &[f32]| other.iter().zip(unit).map(|(a, b)| a * b).sum::<f32>();
        let cosines: Vec<f32> = self.units.par_chunks_exact(self.width).map(cosine).collect();

        let mut order: Vec<usize> = (0..cosines.len()).filter(|other| *other != row).collect();
        let nearer = |a: &usize, b: &usize| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b));
        let most = k.min(order.len());
        if most < order.len() {
            order.select_nth_unstable_by(most, nearer);
            order.truncate(most);
        }
        order.sort_unstable_by(nearer);
        order.into_iter().map(|other| self.words[other].as_str()).collect()
    }
}

/// Reads the `width` numbers at the end of a line's fields into `values`; returns the word before
/// them.
fn read_fields(
    fields: &[&str],
    width: usize,
    values: &mut Vec<f32>,
) -> std::result::Result<String, String> {
    if width == 0 || fields.len() <= width {
        let (found, expected) = (fields.len() - 1, width.max(1));
        return Err(format!("{found} numbers after the word, where there should be {expected}"));
    }

    let (word, numbers) = fields.split_at(fields.len() - width);
    for number in numbers {
        let value = number.parse::<f32>().ok().filter(|value| value.is_finite());
        values.push(value.ok_or_else(|| format!("`{number}` is no finite number"))?);
    }
    Ok(word.join(" "))
}

/// Whether a line is word2vec's first line: the number of words and the width.
fn is_header(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    fields.len() == 2 && fields.iter().all(|field| field.parse::<u64>().is_ok())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const GLOVE: &str = "cat 1.0 0.1\ndog 0.9 0.2\n. . . 0 1\ncar -1 0.5\n";

    fn read(text: &str, limit: usize) -> Result<Vectors> {
        Vectors::read(text.as_bytes(), limit, Path::new("vectors.txt"))
    }

    #[test]
    fn all_formats_are_read() {
        let glove = read(GLOVE, 100).unwrap();
        assert_eq!(
            (glove.words.len(), glove.width(), glove.get("Dog")),
            (4, 2, Some(&[0.9, 0.2][..]))
        );
        assert_eq!(glove.get(". . ."), Some(&[0.0, 1.0][..]));

        let word2vec = read(&format!("4 2\n{GLOVE}"), 2).unwrap();
        assert_eq!(word2vec.words, ["cat", "dog"]);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.vec.gz");
        let mut file = flate2::write::GzEncoder::new(
            File::create(&path).unwrap(),
            flate2::Compression::fast(),
        );
        // fastText ends its lines with a space.
        file.write_all(b"2 2\ncat 1 2 \ndog 3 4 \n").unwrap();
        file.finish().unwrap();
        assert_eq!(Vectors::open(&path, 10).unwrap().get("dog"), Some(&[3.0, 4.0][..]));
    }

    #[test]
    fn the_nearest_words_are_those_at_the_smallest_angle() {
        let vectors = read(GLOVE, 100).unwrap();
        assert_eq!(vectors.nearest("cat", 2), ["dog", ". . ."]);
        assert_eq!(vectors.nearest("cat", 10).len(), 3);
        assert!(vectors.nearest("bird", 2).is_empty());
    }

    #[test]
    fn damaged_files_are_refused_with_the_line() {
        for (text, message) in [
            ("cat 1 2\ndog 3\n", "line 2: 1 numbers after the word, where there should be 2"),
            ("cat 1 x\n", "line 1: `x` is no finite number"),
            ("cat 1 NaN\n", "line 1"),
            ("5 300\n", "no word vectors"),
        ] {
            let error = read(text, 10).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
