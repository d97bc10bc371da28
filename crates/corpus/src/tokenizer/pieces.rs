//! Tokens of a text, found piece by piece. Pieces are cut at spaces, and the tokens of a piece are
//! cached for its next occurrence.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock};

use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

/// Number of shards of the cache; with many, threads seldom wait for each other.
const SHARDS: usize = 64;
/// Number of pieces that a shard holds, the first ones it meets: 260,000 in all, some 40 MB.
const REMEMBERED: usize = 4096;
/// Size in bytes of the longest piece that is cached.
const LONGEST: usize = 64;

/// A token of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: u32,
    /// The byte of the text after the last one of the token.
    pub end: usize,
}

/// A token of a piece of at most [`LONGEST`] bytes.
#[derive(Debug)]
struct ShortToken {
    id: u32,
    end: u8,
}

/// The tokens of each piece.
type Shard = HashMap<Box<str>, Box<[ShortToken]>>;

/// The tokens of pieces that were tokenised before.
#[derive(Debug)]
pub struct TokenCache {
    hasher: RandomState,
    shards: Vec<RwLock<Shard>>,
}

impl TokenCache {
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
            self.push_tokens(tokenizer, piece, from, &mut found);
            from += piece.len();
        }
        found
    }

    /// Appends the tokens of the piece that begins at byte `from` of the text.
    fn push_tokens(&self, tokenizer: &Tokenizer, piece: &str, from: usize, found: &mut Vec<Token>) {
        let shard = &self.shards[self.hasher.hash_one(piece) as usize % SHARDS];
        if let Some(known) = shard.read().unwrap_or_else(PoisonError::into_inner).get(piece) {
            let token = |token: &ShortToken| Token { id: token.id, end: from + token.end as usize };
            found.extend(known.iter().map(token));
            return;
        }

        let tokens = tokens(tokenizer, piece);
        found.extend(tokens.iter().map(|token| Token { end: from + token.end, ..*token }));
        if piece.len() <= LONGEST {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            if shard.len() < REMEMBERED {
                let short = |token: Token| ShortToken { id: token.id, end: token.end as u8 };
                shard.insert(piece.into(), tokens.into_iter().map(short).collect());
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
        .map(|(id, (_, end))| Token { id: *id, end: *end })
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

/// Whether the tokens of a text are those of its [`pieces`], concatenated. This holds where text is
/// split into words at spaces before any other step: for BERT's tokenizers, and for byte-level BPE
/// with the pattern of GPT-2, whose tokens hold a space only at their beginning and whose
/// look-ahead at the end of white space gives the same before a space as at the end of the text.
pub fn separable(tokenizer: &Tokenizer) -> bool {
    let cuts = match (tokenizer.get_normalizer(), tokenizer.get_pre_tokenizer()) {
        (
            None | Some(NormalizerWrapper::BertNormalizer(_)),
            Some(PreTokenizerWrapper::BertPreTokenizer(_)),
        ) => true,
        (None, Some(PreTokenizerWrapper::ByteLevel(bytes))) => bytes.use_regex,
        _ => false,
    };
    // A token added by a user may contain a space.
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

            let cache = TokenCache::new();
            for seed in 0..2000 {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let length = rng.random_range(0..24);
                let text: String =
                    (0..length).map(|_| alphabet[rng.random_range(0..alphabet.len())]).collect();
                assert_eq!(cache.tokens(&tokenizer, &text), tokens(&tokenizer, &text), "{text:?}");
            }
        }
    }

    #[test]
    fn an_added_token_may_contain_a_space() {
        let mut tokenizer = wordpiece();
        tokenizer.add_tokens([tokenizers::AddedToken::from("a b", false)]).expect("an added token");
        assert!(!separable(&tokenizer));
    }
}
