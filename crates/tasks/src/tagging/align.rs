//! The tokens of words: the label of a word is learnt and predicted at its first token (Devlin et
//! al. 2019, section 5.3).

use corpus::Tokenizer;

/// The tokens of a sentence of words, without special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aligned {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// The position of the first token of each word; words that were cut off a long sentence have
    /// none.
    pub firsts: Vec<usize>,
}

impl Aligned {
    /// The label of each token: that of its word for the first token of a word, none for others.
    ///
    /// # Panics
    /// With fewer labels than words.
    pub fn labels(&self, labels: &[u32]) -> Vec<Option<u32>> {
        let mut by_token = vec![None; self.tokens.len()];
        for (word, first) in self.firsts.iter().enumerate() {
            by_token[*first] = Some(labels[word]);
        }
        by_token
    }
}

/// The tokens of words, at most `room` of them. A space precedes every word (`add_prefix_space`, as
/// in transformers' `run_ner.py` for RoBERTa). A word without tokens becomes the unknown token, so
/// that its label has a position.
pub fn align(tokenizer: &Tokenizer, words: &[String], room: usize) -> Aligned {
    let mut aligned = Aligned::default();
    for word in words {
        if aligned.tokens.len() >= room {
            break;
        }
        let mut tokens = tokenizer.encode(&format!(" {word}")).tokens;
        if tokens.is_empty() {
            tokens.push(tokenizer.specials().unk);
        }

        aligned.firsts.push(aligned.tokens.len());
        aligned.tokens.extend(tokens);
    }
    aligned.tokens.truncate(room);
    aligned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wordpiece;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_label_stands_at_the_first_token_of_its_word() {
        let tokenizer = wordpiece(&["new", "##er", "york", "."]);
        let aligned = align(&tokenizer, &words("Newer York."), 10);
        let spelt: Vec<_> = aligned.tokens.iter().map(|id| tokenizer.token(*id).unwrap()).collect();
        assert_eq!(spelt, ["new", "##er", "york", "."]);
        assert_eq!(aligned.firsts, [0, 2]);
        assert_eq!(aligned.labels(&[7, 8]), [Some(7), None, Some(8), None]);
    }

    #[test]
    fn a_word_without_tokens_is_unknown() {
        let tokenizer = wordpiece(&["a"]);
        let aligned = align(&tokenizer, &words("a \u{200b} a"), 10);
        assert_eq!(aligned.tokens[1], tokenizer.specials().unk);
        assert_eq!(aligned.labels(&[1, 2, 3]), [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_long_sentence_is_cut_and_lists_the_words_left() {
        let tokenizer = wordpiece(&["a", "##a"]);
        let aligned = align(&tokenizer, &words("aaa a aa a"), 5);
        assert_eq!((aligned.tokens.len(), aligned.firsts.as_slice()), (5, [0, 3, 4].as_slice()));
        assert_eq!(align(&tokenizer, &words("aaa a"), 3).firsts, [0]);
    }
}
