//! Tokenizers with more tokens, and which tokens one has more than another.

use std::path::Path;

use tokenizers::{AddedToken, Tokenizer as Inner};

use super::Tokenizer;
use crate::error::{Error, Result};

impl Tokenizer {
    /// This tokenizer with the tokens in a file, one on each line, after its own. As transformers'
    /// `add_tokens` does it, each is found wherever its text stands, inside a word too. Tokens that
    /// are there already keep their ids.
    ///
    /// # Errors
    /// When the file cannot be read or holds no token.
    pub fn with_tokens_of(&self, path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::data(format!("cannot read {}: {error}", path.display())))?;
        let text = text.trim_start_matches('\u{feff}');
        let tokens: Vec<&str> =
            text.lines().map(str::trim).filter(|token| !token.is_empty()).collect();
        if tokens.is_empty() {
            return Err(Error::data(format!(
                "{} holds no token: write one a line",
                path.display()
            )));
        }

        let grown = self.with_tokens(&tokens)?;
        let new = grown.vocabulary_size() - self.vocabulary_size();
        if new < tokens.len() {
            tracing::warn!(
                "{}: {} of {} tokens are in the vocabulary already, or there twice",
                path.display(),
                tokens.len() - new,
                tokens.len()
            );
        }
        Ok(grown)
    }

    /// This tokenizer with `tokens` after its own.
    fn with_tokens(&self, tokens: &[&str]) -> Result<Self> {
        let mut new: Vec<&str> = Vec::new();
        for token in tokens {
            if self.id(token).is_none() && !new.contains(token) {
                new.push(token);
            }
        }

        let mut inner: Inner =
            self.json.parse().map_err(|error| Error::data(format!("the tokenizer: {error}")))?;
        let added: Vec<AddedToken> =
            new.iter().map(|token| AddedToken::from(*token, false)).collect();
        inner
            .add_tokens(added)
            .map_err(|error| Error::data(format!("the tokens cannot be added: {error}")))?;

        let grown = Self::new(inner)?;
        let first = self.vocabulary_size();
        match new.iter().zip(first..).find(|(token, id)| grown.id(token) != Some(*id as u32)) {
            None => Ok(grown),
            Some((token, _)) => Err(Error::data(format!(
                "the token `{token}` cannot be added: ids of the vocabulary are missing"
            ))),
        }
    }

    /// The ids of this tokenizer that stand for another token than in `old`, of which every other id
    /// stands for the same token: those after its last, and those of its `[unused]` tokens. None if
    /// this is no vocabulary that `old` has grown to.
    pub fn new_ids(&self, old: &Self) -> Option<Vec<u32>> {
        if self.vocabulary.len() < old.vocabulary.len() {
            return None;
        }

        let differing =
            (0..old.vocabulary.len()).filter(|id| self.vocabulary[*id] != old.vocabulary[*id]);
        let differing: Vec<usize> = differing.collect();
        let is_unused = |id: &usize| old.vocabulary[*id].token.starts_with("[unused");
        differing.iter().all(is_unused).then(|| {
            differing
                .into_iter()
                .chain(old.vocabulary.len()..self.vocabulary.len())
                .map(|id| id as u32)
                .collect()
        })
    }

    /// The id of a token.
    fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{json, open};

    fn tokenizer(words: &[&str]) -> Tokenizer {
        let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        let words = specials.iter().chain(words).enumerate();
        let vocabulary = words.map(|(id, word)| ((*word).to_owned(), id.into())).collect();
        let parts = open::wordpiece_parts(vocabulary, true);
        Tokenizer::new(json::from_json(&parts, "test".as_ref()).expect("a tokenizer"))
            .expect("special tokens")
    }

    #[test]
    fn added_tokens_come_after_the_others_and_are_found_in_text() {
        let old = tokenizer(&["river", "silt", "##ed"]);
        let grown = old.with_tokens(&["Siltation", "river", "delta", "delta"]).expect("grown");
        assert_eq!(grown.vocabulary_size(), old.vocabulary_size() + 2);
        assert_eq!((grown.token(8), grown.token(9)), (Some("Siltation"), Some("delta")));
        assert_eq!(grown.encode("the siltation of a delta").tokens, [1, 8, 1, 1, 9]);
        assert_eq!(grown.encode("river silted").tokens, old.encode("river silted").tokens);
        assert_eq!(grown.new_ids(&old), Some(vec![8, 9]));

        // What is saved is read again, and growing it again changes nothing.
        let saved: Inner = grown.json().parse().expect("a tokenizer");
        let read = Tokenizer::new(saved).expect("special tokens");
        let again = read.with_tokens(&["delta", "Siltation"]).expect("grown");
        assert_eq!(again.hash(), grown.hash());
    }

    #[test]
    fn a_longer_vocabulary_has_new_ids_and_another_one_has_none() {
        let old = tokenizer(&["river", "[unused0]", "silt"]);
        let ids = |words: &[&str]| tokenizer(words).new_ids(&old);
        assert_eq!(ids(&["river", "[unused0]", "silt"]), Some(Vec::new()));
        assert_eq!(ids(&["river", "[unused0]", "silt", "delta"]), Some(vec![8]));
        assert_eq!(ids(&["river", "delta", "silt", "bank"]), Some(vec![6, 8]));
        assert_eq!(ids(&["delta", "[unused0]", "silt"]), None);
        assert_eq!(ids(&["river", "[unused0]"]), None);
    }

    #[test]
    fn a_file_holds_a_token_on_each_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.txt");
        let grown = |text: &str| {
            std::fs::write(&path, text).expect("written");
            tokenizer(&["river"]).with_tokens_of(&path)
        };
        assert_eq!(
            grown("\u{feff}delta\r\n\n silt \nriver\n").expect("read").token(7),
            Some("silt")
        );
        let message = grown("\n \n").expect_err("empty").to_string();
        assert!(message.ends_with("holds no token: write one a line"), "{message}");
    }
}
