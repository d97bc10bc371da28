//! Text to token ids: a tokenizer of the `tokenizers` crate and what is known about its vocabulary.

mod open;
mod pieces;
mod train;
mod words;

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
    /// Stands for what is not in the vocabulary: `[UNK]`, `<unk>`.
    pub unk: u32,
    /// Stands for a masked token: `[MASK]`, `<mask>`.
    pub mask: u32,
}

/// Tokens of a text without special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Their ids.
    pub tokens: Vec<u32>,
    /// Whether a word begins with the token.
    pub word_starts: Vec<bool>,
    /// The token each sentence begins with; empty for a text without tokens.
    pub sentence_starts: Vec<u32>,
}

/// A tokenizer.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: Inner,
    /// What pieces of text became before, where the tokenizer looks at pieces alone.
    memory: Option<Arc<pieces::Memory>>,
    json: String,
    specials: Specials,
    special_ids: Vec<u32>,
    /// By id: the token, and whether a word begins with it.
    vocabulary: Vec<(String, bool)>,
}

impl Tokenizer {
    /// Opens `tokenizer.json`, `vocab.txt`, `vocab.json` (with `merges.txt` beside it), or a folder that holds one of
    /// these.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or it lacks a special token.
    pub fn open(path: &Path) -> Result<Self> {
        Self::new(open::open(path)?).map_err(|error| Error::data(format!("{}: {error}", path.display())))
    }

    pub(crate) fn new(mut inner: Inner) -> Result<Self> {
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| Error::data(error.to_string()))?;
        let json = inner.to_string(true).map_err(|error| Error::data(error.to_string()))?;
        // A text that spells a special token is text.
        inner.set_encode_special_tokens(true);
        let specials = specials(&inner)?;
        let mut special_ids: Vec<u32> =
            inner.get_added_tokens_decoder().iter().filter(|(_, token)| token.special).map(|(id, _)| *id).collect();
        special_ids.extend([specials.cls, specials.sep, specials.pad, specials.unk, specials.mask]);
        special_ids.sort_unstable();
        special_ids.dedup();
        let vocabulary = words::table(&inner, &special_ids);
        let memory = pieces::separable(&inner).then(|| Arc::new(pieces::Memory::new()));
        Ok(Self { inner, memory, json, specials, special_ids, vocabulary })
    }

    /// The special tokens of the layout.
    pub fn specials(&self) -> Specials {
        self.specials
    }

    /// The ids of all special tokens, sorted.
    pub fn all_special_ids(&self) -> Vec<u32> {
        self.special_ids.clone()
    }

    /// The largest id and one.
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// The token with an id.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.vocabulary.get(id as usize).map(|(token, _)| token.as_str())
    }

    /// The tokens of a text that is a paragraph or a sentence, without special tokens.
    pub fn encode(&self, text: &str) -> Encoded {
        let found = match &self.memory {
            Some(memory) => memory.tokens(&self.inner, text),
            None => pieces::tokens(&self.inner, text),
        };
        // A Unigram model matches a special token that is spelt out; to a text it is an unknown word.
        let known = |id: u32| if self.special_ids.binary_search(&id).is_ok() { self.specials.unk } else { id };
        let tokens: Vec<u32> = found.iter().map(|(id, _)| known(*id)).collect();
        let mut word_starts: Vec<bool> = tokens.iter().map(|id| self.vocabulary[*id as usize].1).collect();
        let mut sentence_starts = Vec::new();
        let mut from = 0;
        for sentence in crate::sentences::sentences(text) {
            // The first token that reaches into the sentence; it may begin with the space before it.
            let mut first = from + found[from..].iter().take_while(|(_, end)| *end <= sentence.start).count();
            // It may even be nothing but that space.
            while first > from && is_space(text, &found[..first]) {
                first -= 1;
            }
            if first < tokens.len() && sentence_starts.last() != Some(&(first as u32)) {
                sentence_starts.push(first as u32);
                word_starts[first] = true;
            }
            from = first;
        }
        if let (Some(first), false) = (sentence_starts.first_mut(), tokens.is_empty()) {
            *first = 0;
            word_starts[0] = true;
        } else if !tokens.is_empty() {
            sentence_starts.push(0);
            word_starts[0] = true;
        }
        Encoded { tokens, word_starts, sentence_starts }
    }

    /// The text of tokens, special tokens left out.
    pub fn decode(&self, tokens: &[u32]) -> String {
        self.inner.decode(tokens, true).unwrap_or_default()
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

/// Whether the last of the tokens is white space of the text: not one of several tokens of one character.
fn is_space(text: &str, tokens: &[pieces::Token]) -> bool {
    let (start, end) = match tokens {
        [] => return false,
        [(_, end)] => (0, *end),
        [.., (_, start), (_, end)] => (*start, *end),
    };
    start < end && text.get(start..end).is_some_and(|token| token.trim().is_empty())
}

fn specials(inner: &Inner) -> Result<Specials> {
    let find = |names: &[&str]| {
        names.iter().find_map(|name| inner.token_to_id(name)).ok_or_else(|| {
            Error::data(format!("the tokenizer has no special token {}; add it to its vocabulary", names.join(" or ")))
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
