//! Parts of speech, and words by part of speech.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use corpus::below;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::words::Words;

/// Words with their most frequent tag: a tagger that the user supplies.
#[derive(Clone, Debug)]
pub struct Lexicon {
    tags: HashMap<String, String>,
    /// The most frequent tag of the words with an ending, by ending of up to four letters; the
    /// empty ending stands for all words.
    endings: HashMap<String, String>,
}

/// Letters of the longest ending.
const ENDING: usize = 4;

/// How often each tag occurs, by word or by ending.
type TagCounts = HashMap<String, BTreeMap<String, u64>>;

impl Lexicon {
    /// Reads lines of `word<TAB>tag` or `word<TAB>tag<TAB>count`. A word with several tags gets the
    /// most frequent one; an unknown word gets that of the longest ending it shares with known
    /// ones.
    ///
    /// # Errors
    /// When the file cannot be read, or a line has neither form.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        Self::parse(&text, &path.display().to_string())
    }

    pub(crate) fn parse(text: &str, name: &str) -> Result<Self> {
        let (mut words, mut endings) = (TagCounts::new(), TagCounts::new());
        for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let Entry { word, tag, count } = Entry::parse(text).ok_or_else(|| {
                Error::Data(format!(
                    "{name}, line {}: write word<TAB>tag or word<TAB>tag<TAB>count",
                    line + 1
                ))
            })?;

            let word = word.to_lowercase();
            for ending in ends(&word) {
                *endings
                    .entry(ending.to_owned())
                    .or_default()
                    .entry(tag.to_owned())
                    .or_default() += count;
            }
            *words.entry(word).or_default().entry(tag.to_owned()).or_default() += count;
        }

        if words.is_empty() {
            return Err(Error::Data(format!("{name} has no words; write word<TAB>tag")));
        }
        Ok(Self { tags: most_frequent(words), endings: most_frequent(endings) })
    }

    /// The tag of each word of a sentence; `X` where nothing is known.
    pub fn tags(&self, words: &Words<'_>) -> Vec<&str> {
        words.iter().map(|word| self.tag(word)).collect()
    }

    fn tag(&self, word: &str) -> &str {
        let word = word.to_lowercase();
        let known = self.tags.get(&word);
        let guessed = || ends(&word).into_iter().find_map(|ending| self.endings.get(ending));
        known.or_else(guessed).map_or("X", String::as_str)
    }
}

/// A line of a lexicon.
struct Entry<'a> {
    word: &'a str,
    tag: &'a str,
    count: u64,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let (word, tag, count) = match fields[..] {
            [word, tag] => (word, tag, 1),
            [word, tag, count] => (word, tag, count.parse().ok()?),
            _ => return None,
        };
        (!word.is_empty() && !tag.is_empty()).then_some(Self { word, tag, count })
    }
}

/// The most frequent tag of each key; of equally frequent tags the first in the alphabet.
fn most_frequent(counts: TagCounts) -> HashMap<String, String> {
    let best = |tags: BTreeMap<String, u64>| {
        let (mut best, mut most) = (String::new(), 0);
        for (tag, count) in tags {
            if count > most {
                (best, most) = (tag, count);
            }
        }
        best
    };
    counts.into_iter().map(|(key, tags)| (key, best(tags))).collect()
}

/// The endings of a word, the longest first, and the empty one.
fn ends(word: &str) -> Vec<&str> {
    let starts: Vec<usize> = word.char_indices().map(|(start, _)| start).collect();
    let longest = starts.len().saturating_sub(ENDING);
    starts[longest..].iter().map(|start| &word[*start..]).chain([""]).collect()
}

/// The words of a text by tag, each as often as it occurs.
#[derive(Clone, Debug, Default)]
pub struct Unigrams(HashMap<String, Vec<String>>);

impl Unigrams {
    /// The words of `sentences`.
    pub fn count<'s>(sentences: impl IntoIterator<Item = &'s str>, tagger: &Lexicon) -> Self {
        let mut found: HashMap<String, Vec<String>> = HashMap::new();
        for sentence in sentences {
            let words = Words::new(sentence);
            for (word, tag) in words.iter().zip(tagger.tags(&words)) {
                found.entry(tag.to_owned()).or_default().push(word.to_owned());
            }
        }
        Self(found)
    }

    /// A random word with the tag, drawn by its frequency; none where the text has no such word.
    pub fn draw(&self, tag: &str, rng: &mut ChaCha8Rng) -> Option<&str> {
        let words = self.0.get(tag)?;
        Some(&words[below(words.len(), rng)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_tag_wins_and_unknown_words_go_by_their_endings() {
        let lines = "walk\tN\t3\nwalk\tV\t5\nwalking\tV\ntalking\tV\nhouse\tN\t40\nslowly\tA\n";
        let lexicon = Lexicon::parse(lines, "x").unwrap();
        assert_eq!(
            ["Walk", "singing", "kindly", "blouse", "zzz"].map(|word| lexicon.tag(word)),
            ["V", "V", "A", "N", "N"]
        );
    }

    #[test]
    fn damaged_lexicons_are_refused_with_the_line() {
        for (lines, message) in
            [("a\tN\nb\n", "line 2"), ("a\tN\tmany\n", "line 1"), ("\n", "no words")]
        {
            assert!(
                Lexicon::parse(lines, "x").unwrap_err().to_string().contains(message),
                "{lines}"
            );
        }
    }
}
