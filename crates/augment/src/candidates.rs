//! By what a word may be replaced (Jiao et al. 2020, algorithm 1).

use std::collections::HashMap;

use corpus::Tokenizer;

use crate::error::Result;
use crate::row::{Behaviour, TextRow};
use crate::vectors::Vectors;
use crate::words::{Words, cased_like};

/// What a masked language model is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Tokens of a sequence, special ones included, the mask in its place.
    pub tokens: Vec<u32>,
    /// The segment of each token.
    pub segments: Vec<u32>,
    /// Where the mask is.
    pub position: usize,
}

/// A masked language model.
pub trait MaskedModel: Sync {
    /// The `k` most probable tokens of each query, best first; the same whatever is asked beside
    /// it.
    ///
    /// # Errors
    /// When the model fails, or is asked to stop.
    fn best(&self, queries: &[Query], k: usize) -> Result<Vec<Vec<u32>>>;
}

/// Where candidates are sought.
#[derive(Clone, Copy)]
pub struct Sought<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Asked about words that are one token.
    pub model: &'a dyn MaskedModel,
    /// Looked up for all others.
    pub vectors: &'a Vectors,
    /// Candidates of a word. The paper: 15.
    pub count: usize,
    /// The longest sequence of the model.
    pub max_length: usize,
    /// The paper's or the authors' code's.
    pub behaviour: Behaviour,
}

/// The candidates of each word of a sentence.
pub type Candidates = Vec<Vec<String>>;

/// Words that carry little meaning, which the authors leave alone.
const STOP_WORDS: &str = "a about above after again all am an and any are as at be because been before being below between \
    both but by can did do does doing down during each few for from further had has have having he her here hers herself \
    him himself his how i if in into is it its itself just me more most my myself no nor not now of off on once only or \
    other our ours ourselves out over own same she should so some such than that the their theirs them themselves then \
    there these they this those through to too under until up very was we were what when where which while who whom why \
    will with you your yours yourself yourselves";

impl Sought<'_> {
    /// The candidates of the sentences of `rows`, first and second. The model is asked about all of
    /// them at once.
    ///
    /// # Errors
    /// When the model fails.
    pub fn of(&self, rows: &[TextRow]) -> Result<Vec<[Candidates; 2]>> {
        let sentences: Vec<Words<'_>> = rows
            .iter()
            .flat_map(|row| [row.first.as_str(), row.second.as_deref().unwrap_or("")])
            .map(Words::new)
            .collect();
        let (mut queries, mut asked) = (Vec::new(), Vec::new());
        let mut found: Vec<Candidates> =
            sentences.iter().map(|words| vec![Vec::new(); words.len()]).collect();
        let mut known: HashMap<String, Vec<String>> = HashMap::new();
        for (sentence, words) in sentences.iter().enumerate() {
            for (i, word) in words.iter().enumerate().filter(|(_, word)| self.may_be_replaced(word))
            {
                match self.tokenizer.encode(word).tokens.as_slice() {
                    [token] => {
                        queries.push(self.query(words, i));
                        asked.push((sentence, i, *token));
                    }
                    _ => {
                        let near = known
                            .entry(word.to_lowercase())
                            .or_insert_with_key(|word| self.near(word));
                        found[sentence][i] =
                            near.iter().map(|near| cased_like(near, word)).collect();
                    }
                }
            }
        }
        // Some of what comes back is no word.
        let answers = self.model.best(&queries, 3 * self.count + 10)?;
        let mut words: HashMap<u32, Option<String>> = HashMap::new();
        for ((sentence, i, token), answer) in asked.into_iter().zip(answers) {
            let word = sentences[sentence].get(i);
            let others = answer
                .into_iter()
                .filter(|id| self.behaviour == Behaviour::Authors || *id != token);
            let like = |id| {
                words
                    .entry(id)
                    .or_insert_with(|| self.word(id))
                    .as_deref()
                    .map(|other| cased_like(other, word))
            };
            found[sentence][i] = others.filter_map(like).take(self.count).collect();
        }
        let mut found = found.into_iter();
        Ok((0..rows.len())
            .map(|_| [found.next().unwrap_or_default(), found.next().unwrap_or_default()])
            .collect())
    }

    fn may_be_replaced(&self, word: &str) -> bool {
        match self.behaviour {
            Behaviour::Clean => word.chars().any(char::is_alphabetic),
            Behaviour::Authors => {
                let lower = word.to_lowercase();
                word.chars().all(char::is_alphabetic)
                    && !STOP_WORDS.split_whitespace().any(|stop| stop == lower)
            }
        }
    }

    /// The nearest words.
    fn near(&self, word: &str) -> Vec<String> {
        let others = self.vectors.nearest(word, self.count).into_iter();
        others.filter(|other| other.chars().any(char::is_alphabetic)).map(str::to_owned).collect()
    }

    /// The word that a token is, if it is one.
    fn word(&self, token: u32) -> Option<String> {
        if self.tokenizer.all_special_ids().binary_search(&token).is_ok()
            || !self.tokenizer.begins_word(token)
        {
            return None;
        }
        let text = self.tokenizer.decode(&[token]);
        let text = text.trim();
        text.chars()
            .all(char::is_alphanumeric)
            .then_some(text)
            .filter(|text| text.chars().any(char::is_alphabetic))
            .map(str::to_owned)
    }

    /// `[CLS] sentence with a mask [SEP]`, of a long sentence the part around the mask; the authors
    /// add the sentence itself.
    fn query(&self, words: &Words<'_>, i: usize) -> Query {
        let specials = self.tokenizer.specials();
        let (before, after) = words.around(i);
        let [mut left, mut right] = [before, after].map(|text| self.tokenizer.encode(text).tokens);
        let whole = match self.behaviour {
            Behaviour::Clean => Vec::new(),
            Behaviour::Authors => {
                self.tokenizer.encode(&[before, words.get(i), after].concat()).tokens
            }
        };
        let sentences = if whole.is_empty() { 1 } else { 2 };
        let room = (self.max_length - 1 - sentences) / sentences - 1;
        while left.len() + right.len() > room {
            if left.len() > right.len() {
                left.remove(0);
            } else {
                right.pop();
            }
        }
        let position = left.len() + 1;
        let mut tokens =
            [vec![specials.cls], left, vec![specials.mask], right, vec![specials.sep]].concat();
        let mut segments = vec![0; tokens.len()];
        if !whole.is_empty() {
            tokens.extend(whole.into_iter().take(room + 1).chain([specials.sep]));
            segments.resize(tokens.len(), 1);
        }
        Query { tokens, segments, position }
    }
}

#[cfg(test)]
mod tests {
    use corpus::{
        Annotations, DocumentBoundary, Quiet, Text, TextConfig, TokenizerModel, TrainConfig,
    };

    use super::*;

    /// Says the tokens of a few words, whatever it is asked.
    struct Says(Vec<u32>);

    impl MaskedModel for Says {
        fn best(&self, queries: &[Query], k: usize) -> Result<Vec<Vec<u32>>> {
            Ok(queries.iter().map(|_| self.0.iter().copied().take(k).collect()).collect())
        }
    }

    fn tokenizer() -> Tokenizer {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, "the cat sleeps and the dog sleeps\n".repeat(50)).unwrap();
        let config = TextConfig {
            paths: vec![path.display().to_string()],
            document: DocumentBoundary::Line,
            text_field: String::new(),
            annotations: Annotations::None,
        };
        let text = Text::open(config).unwrap();
        let config =
            TrainConfig { model: TokenizerModel::Wordpiece, vocabulary: 60, lowercase: true };
        Tokenizer::train(&text, &config, &Quiet).unwrap()
    }

    fn vectors() -> Vectors {
        let words = ["catdog", "dogcat", "sleeps"].map(str::to_owned).to_vec();
        Vectors::from_table(words, vec![1.0, 0.0, 0.9, 0.1, 0.0, 1.0])
    }

    fn row(first: &str) -> TextRow {
        TextRow { first: first.to_owned(), second: None }
    }

    fn found(behaviour: Behaviour, text: &str) -> Candidates {
        let (tokenizer, vectors) = (tokenizer(), vectors());
        let ids = |text: &str| tokenizer.encode(text).tokens;
        // A special token and a piece within a word among them.
        let model = Says(
            [ids("cat"), vec![tokenizer.specials().sep], ids("dog"), ids("dogcat")[1..].to_vec()]
                .concat(),
        );
        let sought = Sought {
            tokenizer: &tokenizer,
            model: &model,
            vectors: &vectors,
            count: 2,
            max_length: 16,
            behaviour,
        };
        let [first, second] = sought.of(&[row(text)]).unwrap().remove(0);
        assert!(second.is_empty());
        first
    }

    #[test]
    fn the_model_is_asked_about_single_tokens_and_the_vectors_about_the_rest() {
        let clean = found(Behaviour::Clean, "The cat, catdog 7!");
        assert_eq!(clean, [vec!["Cat", "Dog"], vec!["dog"], vec!["dogcat", "sleeps"], vec![]]);
        // The authors leave stop words alone, and keep the word itself.
        let authors = found(Behaviour::Authors, "The cat, catdog 7!");
        assert_eq!(authors, [vec![], vec!["cat", "dog"], vec!["dogcat", "sleeps"], vec![]]);
    }

    #[test]
    fn a_query_is_the_sentence_with_a_mask_and_for_the_authors_the_sentence_itself() {
        let (tokenizer, vectors, model) = (tokenizer(), vectors(), Says(Vec::new()));
        let specials = tokenizer.specials();
        let sought = |behaviour, max_length| Sought {
            tokenizer: &tokenizer,
            model: &model,
            vectors: &vectors,
            count: 2,
            max_length,
            behaviour,
        };
        let text = "the cat sleeps";
        let words = Words::new(text);
        let [the, cat, sleeps] = tokenizer.encode(text).tokens[..] else { panic!("three tokens") };
        let (cls, sep, mask) = (specials.cls, specials.sep, specials.mask);
        let clean = sought(Behaviour::Clean, 16).query(&words, 1);
        assert_eq!((clean.tokens, clean.position), (vec![cls, the, mask, sleeps, sep], 2));
        let authors = sought(Behaviour::Authors, 16).query(&words, 1);
        assert_eq!(authors.tokens, [cls, the, mask, sleeps, sep, the, cat, sleeps, sep]);
        assert_eq!(authors.segments, [0, 0, 0, 0, 0, 1, 1, 1, 1]);
        let short = sought(Behaviour::Clean, 4).query(&words, 2);
        assert_eq!((short.tokens, short.position), (vec![cls, cat, mask, sep], 2));
    }
}
