//! The file of n-grams: JSON lines, the first of which names the tokenizer.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Ngram, Ngrams};
use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    /// Hash of the tokenizer whose ids the file has.
    tokenizer: String,
    /// Number of n-grams.
    ngrams: usize,
}

/// A line.
#[derive(Serialize, Deserialize)]
struct Line {
    /// What it looks like; for readers only.
    text: String,
    tokens: Vec<u32>,
    words: usize,
    count: u64,
    score: f64,
}

impl Ngrams {
    /// Writes `ngrams` of a text that `tokenizer` cut.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(path: &Path, tokenizer: &Tokenizer, ngrams: &[Ngram]) -> Result<()> {
        let aside = path.with_added_extension("tmp");
        let write = || -> io::Result<()> {
            let mut out = BufWriter::new(File::create(&aside)?);
            let header = Header { tokenizer: tokenizer.hash(), ngrams: ngrams.len() };
            writeln!(out, "{}", serde_json::to_string(&header)?)?;
            for ngram in ngrams {
                let Ngram { tokens, words, count, score } = ngram.clone();
                let line = Line { text: tokenizer.decode(&tokens), tokens, words, count, score };
                writeln!(out, "{}", serde_json::to_string(&line)?)?;
            }
            out.into_inner()?.sync_all()?;
            std::fs::rename(&aside, path)
        };
        write().map_err(Error::io("write", path))
    }

    /// Reads a file that [`Ngrams::write`] wrote.
    ///
    /// # Errors
    /// When there is no such file, it is another or a damaged one, or its ids are another
    /// tokenizer's.
    pub fn read(path: &Path, tokenizer: &Tokenizer) -> Result<Self> {
        let file = File::open(path)
            .map_err(|error| Error::data(format!("{}: {error}", path.display())))?;
        let mut lines = BufReader::new(file).lines().zip(1..);
        let wrong = |number: usize, reason: String| {
            Error::data(format!(
                "{}, line {number}: {reason}; write the file with `bert-variants corpus ngrams`",
                path.display()
            ))
        };
        let mut next = || match lines.next() {
            Some((Ok(line), number)) => Ok(Some((line, number))),
            Some((Err(error), number)) => Err(wrong(number, error.to_string())),
            None => Ok(None),
        };

        let (line, _) = next()?.ok_or_else(|| wrong(1, "this is no file of n-grams".to_owned()))?;
        let header: Header = serde_json::from_str(&line)
            .map_err(|error| wrong(1, format!("this is no file of n-grams: {error}")))?;
        if header.tokenizer != tokenizer.hash() {
            return Err(wrong(1, "these n-grams were cut by another tokenizer".to_owned()));
        }

        let mut ngrams = Vec::new();
        while let Some((line, number)) = next()? {
            let line: Line =
                serde_json::from_str(&line).map_err(|error| wrong(number, error.to_string()))?;
            ngrams.push(line.tokens);
        }
        if ngrams.len() != header.ngrams {
            let reason = format!("{} of {} n-grams are here", ngrams.len(), header.ngrams);
            return Err(wrong(ngrams.len() + 1, reason));
        }
        Ok(ngrams.into_iter().collect())
    }
}
