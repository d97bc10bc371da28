//! Tokens of a text, piece by piece between spaces: a piece that was met before is not tokenised
//! again.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock};

use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

/// Parts of the memory, so that threads seldom meet.
const SHARDS: usize = 64;
/// Pieces a part remembers, the first ones it meets: 260,000 in all, some 40 MB.
const REMEMBERED: usize = 4096;
/// Bytes of the longest piece that is remembered.
const LONGEST: usize = 64;

/// A token's id, and the byte of the text after its last.
pub type Token = (u32, usize);

/// Pieces, and the ids of their tokens with the byte of the piece after the last of each.
type Shard = HashMap<Box<str>, Box<[(u32, u8)]>>;

/// The memory of pieces and their tokens.
#[derive(Debug)]
pub struct Memory {
    hasher: RandomState,
    shards: Vec<RwLock<Shard>>,
}

impl Memory {
    pub fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }

    /// The tokens of a text under a [`separable`] tokenizer: the same as [`tokens`] of the whole
    /// text.
    pub fn tokens(&self, tokenizer: &Tokenizer, text: &str) -> Vec<Token> {
        let mut found = Vec::with_capacity(text.len() / 4);
        let mut from = 0;
        for piece in pieces(text) {
            self.piece(tokenizer, piece, from, &mut found);
            from += piece.len();
        }
        found
    }

    fn piece(&self, tokenizer: &Tokenizer, piece: &str, from: usize, found: &mut Vec<Token>) {
        let shard = &self.shards[self.hasher.hash_one(piece) as usize % SHARDS];
        if let Some(known) = shard.read().unwrap_or_else(PoisonError::into_inner).get(piece) {
            found.extend(known.iter().map(|(id, end)| (*id, from + usize::from(*end))));
            return;
        }
        let tokens = tokens(tokenizer, piece);
        found.extend(tokens.iter().map(|(id, end)| (*id, from + end)));
        if piece.len() <= LONGEST {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            if shard.len() < REMEMBERED {
                shard.insert(
                    piece.into(),
                    tokens.into_iter().map(|(id, end)| (id, end as u8)).collect(),
                );
            }
        }
    }
}

/// The tokens of a text.
pub fn tokens(tokenizer: &Tokenizer, text: &str) -> Vec<Token> {
    let encoding =
        tokenizer.encode(text, false).expect("encoding without truncation does not fail");
    encoding
        .get_ids()
        .iter()
        .zip(encoding.get_offsets())
        .map(|(id, (_, end))| (*id, *end))
        .collect()
}

/// Cuts a text before every run of spaces.
pub fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        let end = rest[spaces..].find(' ').map_or(rest.len(), |at| spaces + at);
        let (piece, later) = rest.split_at(end);
        rest = later;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Whether a text's tokens are those of its [`pieces`], one after another. So it is where words are
/// cut at spaces before anything looks at two of them: BERT's tokenizers, and byte-level BPE with
/// the pattern of GPT-2, whose tokens hold a space only at their beginning and whose look-ahead at
/// the end of white space sees the same before a space and at the end of the text.
pub fn separable(tokenizer: &Tokenizer) -> bool {
    let cuts = match (tokenizer.get_normalizer(), tokenizer.get_pre_tokenizer()) {
        (
            None | Some(NormalizerWrapper::BertNormalizer(_)),
            Some(PreTokenizerWrapper::BertPreTokenizer(_)),
        ) => true,
        (None, Some(PreTokenizerWrapper::ByteLevel(bytes))) => bytes.use_regex,
        _ => false,
    };
    // A token that somebody added may hold a space.
    cuts && tokenizer.get_added_tokens_decoder().values().all(|token| token.special)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::{json, open};
    use super::*;

    #[test]
    fn a_piece_begins_with_its_spaces() {
        let cut = |text| pieces(text).collect::<Vec<_>>();
        assert_eq!(cut("a bc  d \te "), ["a", " bc", "  d", " \te", " "]);
        assert!(cut("").is_empty());
    }

    fn wordpiece() -> Tokenizer {
        let words = [
            "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "##'", "'", ".",
            "e", "##e", "中",
        ];
        let vocabulary =
            words.iter().enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
        json::from_json(&open::wordpiece_parts(vocabulary, true), "test".as_ref())
            .expect("a tokenizer")
    }

    fn byte_level() -> Tokenizer {
        let mut words: Vec<String> = ["<s>", "<pad>", "</s>", "<unk>"].map(str::to_owned).to_vec();
        let mut alphabet: Vec<char> =
            tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet().into_iter().collect();
        alphabet.sort_unstable();
        words.extend(alphabet.into_iter().map(String::from));
        words.extend(["\u{120}a", "ab", "\u{120}\u{120}", "'s", "<mask>"].map(str::to_owned));
        let vocabulary =
            words.iter().enumerate().map(|(id, word)| (word.clone(), id.into())).collect();
        let merges = [("\u{120}", "a"), ("a", "b"), ("\u{120}", "\u{120}"), ("'", "s")];
        let merges = merges.iter().map(|(a, b)| serde_json::json!([a, b])).collect();
        json::from_json(&open::byte_level_parts(vocabulary, merges), "test".as_ref())
            .expect("a tokenizer")
    }

    #[test]
    fn the_pieces_tokens_are_the_texts() {
        let alphabet = [
            " ",
            " ",
            " ",
            "  ",
            "a",
            "b",
            "ab",
            "A",
            "'",
            "'s",
            ".",
            "\t",
            "\n",
            "\u{85}",
            "\u{a0}",
            "\u{200b}",
            "\u{301}",
            "\u{e9}",
            "中",
            "1",
            "\u{1f600}",
            "\u{3000}",
            "\0",
            "\u{fffd}",
            "[MASK]",
            "<mask>",
            "<s>",
            "\u{3a3}",
        ];
        for mut tokenizer in [wordpiece(), byte_level()] {
            tokenizer.set_encode_special_tokens(true);
            assert!(separable(&tokenizer));
            let memory = Memory::new();
            for seed in 0..2000 {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let length = rng.random_range(0..24);
                let text: String =
                    (0..length).map(|_| alphabet[rng.random_range(0..alphabet.len())]).collect();
                assert_eq!(memory.tokens(&tokenizer, &text), tokens(&tokenizer, &text), "{text:?}");
            }
        }
    }

    #[test]
    fn an_added_token_may_hold_a_space() {
        let mut tokenizer = wordpiece();
        tokenizer.add_tokens([tokenizers::AddedToken::from("a b", false)]).expect("an added token");
        assert!(!separable(&tokenizer));
    }
}
