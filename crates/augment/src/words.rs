//! A sentence as words and the text between them.

use std::ops::Range;

/// A sentence and the positions of its words: runs of letters and digits, with single apostrophes
/// and hyphens inside.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    text: &'a str,
    ranges: Vec<Range<usize>>,
}

impl<'a> Words<'a> {
    /// The words of `text`.
    pub fn new(text: &'a str) -> Self {
        // Nothing, or one apostrophe or hyphen.
        let is_inside_word = |between: &str| {
            between.chars().all(|c| matches!(c, '\'' | '’' | '-')) && between.chars().count() < 2
        };

        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (start, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
            let end = start + c.len_utf8();
            match ranges.last_mut() {
                Some(word) if is_inside_word(&text[word.end..start]) => word.end = end,
                _ => ranges.push(start..end),
            }
        }

        Self { text, ranges }
    }

    /// The number of words.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Word `i`.
    pub fn get(&self, i: usize) -> &'a str {
        &self.text[self.ranges[i].clone()]
    }

    /// The words.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The text before word `i` and the text after it.
    pub fn around(&self, i: usize) -> (&'a str, &'a str) {
        (&self.text[..self.ranges[i].start], &self.text[self.ranges[i].end..])
    }

    /// The sentence with other words in place of its own.
    ///
    /// # Panics
    /// When there are not as many `words` as the sentence has.
    pub fn with(&self, words: &[&str]) -> String {
        assert_eq!(words.len(), self.len(), "a word for each");
        self.part(0..self.len(), words, 0..self.text.len())
    }

    /// The words `range` of the sentence with other words in place of its own, without the text
    /// around them.
    pub fn window(&self, range: Range<usize>, words: &[&str]) -> String {
        let span = self.ranges[range.start].start..self.ranges[range.end - 1].end;
        self.part(range, words, span)
    }

    /// The bytes `span` of the sentence, in which `words` replace its words `range`.
    fn part(&self, range: Range<usize>, words: &[&str], span: Range<usize>) -> String {
        let mut text = String::new();
        let mut at = span.start;
        for (replaced, word) in self.ranges[range.clone()].iter().zip(&words[range]) {
            text.push_str(&self.text[at..replaced.start]);
            text.push_str(word);
            at = replaced.end;
        }
        text.push_str(&self.text[at..span.end]);
        text
    }
}

/// `word` with the case of the first letter of `like`.
pub fn cased_like(word: &str, like: &str) -> String {
    let mut letters = word.chars();
    let is_capitalised = like.chars().next().is_some_and(char::is_uppercase);
    match letters.next() {
        Some(first) if is_capitalised => first.to_uppercase().chain(letters).collect(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_apostrophes_and_hyphens_and_everything_else_stands_between() {
        let text = " It's a well-made -- if slow -- film , isn't it? ";
        let words = Words::new(text);
        let found: Vec<&str> = words.iter().collect();
        assert_eq!(found, ["It's", "a", "well-made", "if", "slow", "film", "isn't", "it"]);
        assert_eq!(words.with(&found), text);

        let mut other = found.clone();
        (other[0], other[5]) = ("That's", "play");
        assert_eq!(words.with(&other), " That's a well-made -- if slow -- play , isn't it? ");
        assert_eq!(words.window(2..5, &other), "well-made -- if slow");
        assert_eq!(words.around(7), (" It's a well-made -- if slow -- film , isn't ", "? "));
    }

    #[test]
    fn texts_without_words_have_none() {
        assert_eq!(Words::new(" ... !").len(), 0);
        assert_eq!(Words::new("").with(&[]), "");
        assert_eq!(cased_like("film", "Movie"), "Film");
        assert_eq!(cased_like("Film", "movie"), "Film");
    }
}
