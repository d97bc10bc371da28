//! Which entries of a vocabulary begin a word.

use tokenizers::models::ModelWrapper;
use tokenizers::{Model, Tokenizer};

/// An entry of a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Empty for an id without a token.
    pub token: String,
    pub begins_word: bool,
}

/// The entries of the vocabulary by id.
pub fn table(tokenizer: &Tokenizer, special_ids: &[u32]) -> Vec<Entry> {
    let vocabulary = tokenizer.get_vocab(true);
    let size = vocabulary.values().max().map_or(0, |id| *id as usize + 1);
    let mut table = vec![Entry { token: String::new(), begins_word: true }; size];

    let begins = rule(tokenizer.get_model());
    for (token, id) in vocabulary {
        let begins_word = special_ids.binary_search(&id).is_ok() || begins(&token);
        table[id as usize] = Entry { token, begins_word };
    }
    table
}

/// Whether a token begins a word, as the kind of model has it.
fn rule(model: &ModelWrapper) -> fn(&str) -> bool {
    match model {
        ModelWrapper::WordPiece(_) => |token| !token.starts_with("##"),
        // Byte-level BPE writes a space as U+0120 and a line break as U+010A.
        ModelWrapper::BPE(_) if model.token_to_id("\u{120}").is_some() => {
            |token| token.starts_with(['\u{120}', '\u{10a}'])
        }
        ModelWrapper::BPE(_) | ModelWrapper::Unigram(_) => sentencepiece,
        ModelWrapper::WordLevel(_) => |_| true,
    }
}

/// ALBERT's rule (create_pretraining_data.py): a piece begins a word if it starts with the marker
/// of a space or with `<`, or contains a character other than an ASCII letter.
fn sentencepiece(token: &str) -> bool {
    token.starts_with(['\u{2581}', '<']) || token.chars().any(|c| !c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alberts_rule_begins_words_at_markers_punctuation_and_digits() {
        for token in ["\u{2581}the", "\u{2581}", ",", "7", "<unk>", "\u{e9}t"] {
            assert!(sentencepiece(token), "{token}");
        }
        assert!(!sentencepiece("ing"));
    }
}
