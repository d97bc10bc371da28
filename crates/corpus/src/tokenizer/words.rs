//! Where words begin, vocabulary entry by vocabulary entry.

use tokenizers::models::ModelWrapper;
use tokenizers::{Model, Tokenizer};

/// Every token by id, and whether a word begins with it. An id without a token is empty.
pub fn table(tokenizer: &Tokenizer, special_ids: &[u32]) -> Vec<(String, bool)> {
    let vocabulary = tokenizer.get_vocab(true);
    let size = vocabulary.values().max().map_or(0, |id| *id as usize + 1);
    let mut table = vec![(String::new(), true); size];
    let begins = rule(tokenizer.get_model());
    for (token, id) in vocabulary {
        let starts = special_ids.binary_search(&id).is_ok() || begins(&token);
        table[id as usize] = (token, starts);
    }
    table
}

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

/// ALBERT's rule (create_pretraining_data.py): a piece begins a word when it begins with the marker
/// of a space, or with `<`, or holds a character that is no ASCII letter.
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
