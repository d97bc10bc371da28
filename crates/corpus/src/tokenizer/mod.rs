//! Text to token ids: a tokenizer of the `tokenizers` crate with facts about its vocabulary.

mod grow;
mod json;
mod open;
mod pieces;
mod sentencepiece;
mod train;
mod words;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tokenizers::Tokenizer as Inner;

use crate::error::{Error, Result};

pub use train::{TokenizerModel, TrainConfig};

/// The special tokens of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Specials {
    /// Begins a sequence: `[CLS]`, `<s>`.
    pub cls: u32,
    /// Ends a segment: `[SEP]`, `</s>`.
    pub sep: u32,
    /// Fills up: `[PAD]`, `<pad>`.
    pub pad: u32,
    /// Stands for a word that the vocabulary cannot spell: `[UNK]`, `<unk>`.
    pub unk: u32,
    /// Stands for a masked token: `[MASK]`, `<mask>`.
    pub mask: u32,
}

/// Tokens of a text without special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Whether each token begins a word.
    pub word_starts: Vec<bool>,
    /// Positions of the tokens that begin a sentence; empty for a text without tokens.
    pub sentence_starts: Vec<u32>,
}

/// A tokenizer.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: Inner,
    /// Tokens of pieces of text, if the tokenizer treats pieces independently.
    cache: Option<Arc<pieces::TokenCache>>,
    json: String,
    specials: Specials,
    special_ids: Vec<u32>,
    /// Entries by id.
    vocabulary: Vec<words::Entry>,
}

impl Tokenizer {
    /// Opens `tokenizer.json`, `vocab.txt`, `vocab.json` (with `merges.txt` beside it),
    /// `spiece.model`, or a folder that holds one of these.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or it lacks a special token.
    pub fn open(path: &Path) -> Result<Self> {
        Self::new(open::open(path)?)
            .map_err(|error| Error::data(format!("{}: {error}", path.display())))
    }

    pub(crate) fn new(mut inner: Inner) -> Result<Self> {
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| Error::data(error.to_string()))?;
        let json = inner.to_string(true).map_err(|error| Error::data(error.to_string()))?;
        // The name of a special token in a text is ordinary text.
        inner.set_encode_special_tokens(true);

        let specials = specials(&inner)?;
        let mut special_ids: Vec<u32> = inner
            .get_added_tokens_decoder()
            .iter()
            .filter(|(_, token)| token.special)
            .map(|(id, _)| *id)
            .collect();
        special_ids.extend([specials.cls, specials.sep, specials.pad, specials.unk, specials.mask]);
        special_ids.sort_unstable();
        special_ids.dedup();

        let vocabulary = words::table(&inner, &special_ids);
        let cache = pieces::separable(&inner).then(|| Arc::new(pieces::TokenCache::new()));
        Ok(Self { inner, cache, json, specials, special_ids, vocabulary })
    }

    /// The special tokens of the layout.
    pub fn specials(&self) -> Specials {
        self.specials
    }

    /// The ids of all special tokens, sorted.
    pub fn all_special_ids(&self) -> &[u32] {
        &self.special_ids
    }

    /// One more than the largest token id.
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// The token with an id.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.vocabulary.get(id as usize).map(|entry| entry.token.as_str())
    }

    /// Whether the token of an id begins a word.
    pub fn begins_word(&self, id: u32) -> bool {
        self.vocabulary.get(id as usize).is_some_and(|entry| entry.begins_word)
    }

    /// The tokens of a paragraph or a sentence, without special tokens.
    pub fn encode(&self, text: &str) -> Encoded {
        let found = match &self.cache {
            Some(cache) => cache.tokens(&self.inner, text),
            None => pieces::tokens(&self.inner, text),
        };
        let tokens: Vec<u32> = found.iter().map(|token| self.known(token.id)).collect();
        let mut word_starts: Vec<bool> =
            tokens.iter().map(|id| self.vocabulary[*id as usize].begins_word).collect();
        let mut sentence_starts = sentence_starts(text, &found);
        for start in &sentence_starts {
            word_starts[*start as usize] = true;
        }

        // The first token begins a word and a sentence in any case.
        if !tokens.is_empty() {
            word_starts[0] = true;
            match sentence_starts.first_mut() {
                Some(first) => *first = 0,
                None => sentence_starts.push(0),
            }
        }
        Encoded { tokens, word_starts, sentence_starts }
    }

    /// The tokens of [`Tokenizer::encode`], and the byte range of the text that each stands for.
    /// Ranges lie on character boundaries and have no white space at either end; the range of a
    /// token of nothing but white space is empty. Tokens that are parts of one character share the
    /// range of that character.
    pub fn encode_offsets(&self, text: &str) -> (Vec<u32>, Vec<Range<usize>>) {
        let encoding =
            self.inner.encode(text, false).expect("encoding without truncation does not fail");
        let tokens = encoding.get_ids().iter().map(|id| self.known(*id)).collect();
        let ranges =
            encoding.get_offsets().iter().map(|(start, end)| trimmed(text, *start, *end)).collect();
        (tokens, ranges)
    }

    /// The id, or that of the unknown token for a special token: a Unigram model matches special
    /// tokens that are spelt out in a text.
    fn known(&self, id: u32) -> u32 {
        if self.special_ids.binary_search(&id).is_ok() { self.specials.unk } else { id }
    }

    /// The text of tokens, special tokens left out.
    pub fn decode(&self, tokens: &[u32]) -> String {
        self.inner.decode(tokens, true).unwrap_or_default()
    }

    /// The text of `tokenizer.json`.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Writes `tokenizer.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let aside = path.with_extension("json.tmp");
        std::fs::write(&aside, &self.json).map_err(Error::io("write", &aside))?;
        std::fs::rename(&aside, path).map_err(Error::io("write", path))
    }

    /// blake3 of `tokenizer.json`, in hexadecimal.
    pub fn hash(&self) -> String {
        blake3::hash(self.json.as_bytes()).to_hex().to_string()
    }
}

/// Positions of the tokens that begin a sentence of the text.
fn sentence_starts(text: &str, tokens: &[pieces::Token]) -> Vec<u32> {
    let mut starts = Vec::new();
    let mut from = 0;
    for sentence in crate::sentences::sentences(text) {
        // The first token that reaches into the sentence. It may begin with the space before the
        // sentence.
        let reaches = |token: &&pieces::Token| token.end > sentence.start;
        let mut first = from + tokens[from..].iter().take_while(|token| !reaches(token)).count();
        // Tokens of nothing but that space belong to the sentence too.
        while first > from && is_space(text, &tokens[..first]) {
            first -= 1;
        }

        if first < tokens.len() && starts.last() != Some(&(first as u32)) {
            starts.push(first as u32);
        }
        from = first;
    }
    starts
}

/// Whether the last of the tokens stands for white space, and not for a part of a character.
fn is_space(text: &str, tokens: &[pieces::Token]) -> bool {
    let (start, end) = match tokens {
        [] => return false,
        [token] => (0, token.end),
        [.., before, token] => (before.end, token.end),
    };
    start < end && text.get(start..end).is_some_and(|token| token.trim().is_empty())
}

/// The byte range from `start` to `end`, widened to whole characters, then without white space at
/// either end.
fn trimmed(text: &str, start: usize, end: usize) -> Range<usize> {
    let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(end));
    let token = &text[start..end.max(start)];
    let start = start + token.len() - token.trim_start().len();
    start..start + token.trim().len()
}

/// The ids of the special tokens, under BERT's or RoBERTa's names.
fn specials(inner: &Inner) -> Result<Specials> {
    let find = |names: &[&str]| {
        names.iter().find_map(|name| inner.token_to_id(name)).ok_or_else(|| {
            Error::data(format!(
                "the tokenizer has no special token {}; add it to its vocabulary",
                names.join(" or ")
            ))
        })
    };

    Ok(Specials {
        cls: find(&["[CLS]", "<s>"])?,
        sep: find(&["[SEP]", "</s>"])?,
        pad: find(&["[PAD]", "<pad>"])?,
        unk: find(&["[UNK]", "<unk>"])?,
        mask: find(&["[MASK]", "<mask>"])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{below, keyed_rng};

    fn wordpiece() -> Tokenizer {
        let words = [
            "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "e", "##e", ".",
            "中",
        ];
        let vocabulary =
            words.iter().enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
        tokenizer(&open::wordpiece_parts(vocabulary, true))
    }

    fn byte_level() -> Tokenizer {
        let mut words: Vec<String> =
            ["<s>", "<pad>", "</s>", "<unk>", "<mask>"].map(str::to_owned).to_vec();
        let mut alphabet: Vec<char> =
            tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet().into_iter().collect();
        alphabet.sort_unstable();
        words.extend(alphabet.into_iter().map(String::from));
        words.extend(["\u{120}a", "ab"].map(str::to_owned));

        let vocabulary =
            words.iter().enumerate().map(|(id, word)| (word.clone(), id.into())).collect();
        let merges =
            [("\u{120}", "a"), ("a", "b")].map(|(a, b)| serde_json::json!([a, b])).to_vec();
        tokenizer(&open::byte_level_parts(vocabulary, merges))
    }

    fn unigram() -> Tokenizer {
        let pieces = [
            "<pad>",
            "<unk>",
            "[CLS]",
            "[SEP]",
            "[MASK]",
            "\u{2581}",
            "\u{2581}a",
            "a",
            "b",
            "e",
            ".",
        ];

        let pieces = pieces
            .iter()
            .enumerate()
            .map(|(id, piece)| serde_json::json!([piece, -(id as f64)]))
            .collect();
        tokenizer(&open::unigram_parts(pieces, 1, true))
    }

    fn tokenizer(parts: &serde_json::Value) -> Tokenizer {
        Tokenizer::new(json::from_json(parts, "test".as_ref()).expect("a tokenizer"))
            .expect("special tokens")
    }

    /// The part of the text that each token stands for.
    fn parts(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
        tokenizer.encode_offsets(text).1.into_iter().map(|range| text[range].to_owned()).collect()
    }

    #[test]
    fn offsets_point_at_the_text_as_it_was_written() {
        assert_eq!(parts(&wordpiece(), "  Ab\u{c9}. 中 zz"), ["A", "b", "\u{c9}", ".", "中", "zz"]);
        assert_eq!(parts(&byte_level(), "ab a\u{e9}"), ["ab", "a", "\u{e9}", "\u{e9}"]);
        assert_eq!(parts(&unigram(), "a b\u{e9}."), ["a", "", "b", "\u{e9}", "."]);
    }

    #[test]
    fn offsets_belong_to_the_tokens_of_encode_and_run_forward() {
        let alphabet = [
            " ",
            "  ",
            "\t",
            "a",
            "B",
            "ab",
            "\u{e9}",
            "e\u{301}",
            "\u{1f600}",
            "中",
            ".",
            "[MASK]",
            "\0",
            "\u{fb01}",
        ];

        for (number, tokenizer) in [wordpiece(), byte_level(), unigram()].iter().enumerate() {
            for seed in 0..1000 {
                let mut rng = keyed_rng("offsets", seed, number as u64, 0);
                let length = below(16, &mut rng);
                let text: String =
                    (0..length).map(|_| alphabet[below(alphabet.len(), &mut rng)]).collect();

                let (tokens, ranges) = tokenizer.encode_offsets(&text);
                assert_eq!(tokens, tokenizer.encode(&text).tokens, "{text:?}");
                assert_eq!(tokens.len(), ranges.len());

                for range in &ranges {
                    let part = text.get(range.clone()).expect("character boundaries");
                    assert_eq!(part, part.trim(), "{text:?}");
                }
                for pair in ranges.windows(2) {
                    assert!(
                        pair[0].start <= pair[1].start && pair[0].end <= pair[1].end,
                        "{text:?}"
                    );
                }
            }
        }
    }
}
