//! Candidates to replace a word (Jiao et al. 2020, algorithm 1).

use std::collections::HashMap;

use corpus::Tokenizer;

use crate::error::Result;
use crate::row::{Behaviour, TextRow};
use crate::vectors::Vectors;
use crate::words::{Words, cased_like};

/// A question to a masked language model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Tokens of a sequence, special ones and the mask included.
    pub tokens: Vec<u32>,
    /// The segment of each token.
    pub segments: Vec<u32>,
    /// The position of the mask.
    pub position: usize,
}

/// A masked language model.
pub trait MaskedModel: Sync {
    /// The `k` most probable tokens of each query, best first; independent of the other queries.
    ///
    /// # Errors
    /// When the model fails, or is asked to stop.
    fn best(&self, queries: &[Query], k: usize) -> Result<Vec<Vec<u32>>>;
}

/// How candidates are sought.
#[derive(Clone, Copy)]
pub struct Sought<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Gives the candidates of words that are one token.
    pub model: &'a dyn MaskedModel,
    /// Give the candidates of all other words.
    pub vectors: &'a Vectors,
    /// Candidates of a word. The paper: 15.
    pub count: usize,
    /// The longest sequence of the model.
    pub max_length: usize,
    /// Whether the paper or the authors' code is followed.
    pub behaviour: Behaviour,
}

/// The candidates of each word of a sentence.
pub type Candidates = Vec<Vec<String>>;

/// Words that carry little meaning, which the authors' code does not replace.
const STOP_WORDS: &str = "\
    a about above after again all am an and any are as at be because been before being below \
    between both but by can did do does doing down during each few for from further had has have \
    having he her here hers herself him himself his how i if in into is it its itself just me more \
    most my myself no nor not now of off on once only or other our ours ourselves out over own \
    same she should so some such than that the their theirs them themselves then there these they \
    this those through to too under until up very was we were what when where which while who whom \
    why will with you your yours yourself yourselves";

/// A word that is one token: its sentence, its index among the words, and the token.
struct SingleToken {
    sentence: usize,
    index: usize,
    token: u32,
}

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
        let mut found: Vec<Candidates> =
            sentences.iter().map(|words| vec![Vec::new(); words.len()]).collect();

        let masked = self.search_vectors(&sentences, &mut found);
        self.ask_model(&sentences, masked, &mut found)?;

        let mut found = found.into_iter();
        let mut next = || found.next().unwrap_or_default();
        Ok(rows.iter().map(|_| [next(), next()]).collect())
    }

    /// Finds candidates of the words that are several tokens or none; returns the words that are
    /// one token.
    fn search_vectors(
        &self,
        sentences: &[Words<'_>],
        found: &mut [Candidates],
    ) -> Vec<SingleToken> {
        let mut single = Vec::new();
        let mut known: HashMap<String, Vec<String>> = HashMap::new();
        for (sentence, words) in sentences.iter().enumerate() {
            let replaceable =
                words.iter().enumerate().filter(|(_, word)| self.may_be_replaced(word));
            for (index, word) in replaceable {
                if let [token] = self.tokenizer.encode(word).tokens[..] {
                    single.push(SingleToken { sentence, index, token });
                    continue;
                }

                let near = known
                    .entry(word.to_lowercase())
                    .or_insert_with_key(|word| self.nearest_words(word));
                found[sentence][index] = near.iter().map(|near| cased_like(near, word)).collect();
            }
        }
        single
    }

    /// Finds candidates of the words that are one token.
    fn ask_model(
        &self,
        sentences: &[Words<'_>],
        masked: Vec<SingleToken>,
        found: &mut [Candidates],
    ) -> Result<()> {
        let query = |word: &SingleToken| self.query(&sentences[word.sentence], word.index);
        let queries: Vec<Query> = masked.iter().map(query).collect();
        // Some of the answers are no words.
        let answers = self.model.best(&queries, 3 * self.count + 10)?;

        let mut words: HashMap<u32, Option<String>> = HashMap::new();
        for (SingleToken { sentence, index, token }, answer) in masked.into_iter().zip(answers) {
            let word = sentences[sentence].get(index);
            let others = answer
                .into_iter()
                .filter(|id| self.behaviour == Behaviour::Authors || *id != token);
            let candidate = |id| {
                let other = words.entry(id).or_insert_with(|| self.word_of(id));
                other.as_deref().map(|other| cased_like(other, word))
            };
            found[sentence][index] = others.filter_map(candidate).take(self.count).collect();
        }
        Ok(())
    }

    /// Whether a word is replaced at all.
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

    /// The words whose vectors are nearest.
    fn nearest_words(&self, word: &str) -> Vec<String> {
        let others = self.vectors.nearest(word, self.count).into_iter();
        others.filter(|other| other.chars().any(char::is_alphabetic)).map(str::to_owned).collect()
    }

    /// The word that a token is, if it is a whole word.
    fn word_of(&self, token: u32) -> Option<String> {
        if self.tokenizer.all_special_ids().binary_search(&token).is_ok()
            || !self.tokenizer.begins_word(token)
        {
            return None;
        }

        let text = self.tokenizer.decode(&[token]);
        let text = text.trim();
        let is_word =
            text.chars().all(char::is_alphanumeric) && text.chars().any(char::is_alphabetic);
        is_word.then(|| text.to_owned())
    }

    /// `[CLS] sentence [SEP]` with word `i` masked, of a long sentence the part around the mask;
    /// the authors' code adds the sentence itself.
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

    /// Answers every query with the same tokens.
    struct FixedAnswer(Vec<u32>);

    impl MaskedModel for FixedAnswer {
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
        // The answer includes a special token and a piece within a word.
        let model = FixedAnswer(
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
        // The authors' code does not replace stop words, and keeps the word itself.
        let authors = found(Behaviour::Authors, "The cat, catdog 7!");
        assert_eq!(authors, [vec![], vec!["cat", "dog"], vec!["dogcat", "sleeps"], vec![]]);
    }

    #[test]
    fn a_query_is_the_sentence_with_a_mask_and_for_the_authors_the_sentence_itself() {
        let (tokenizer, vectors, model) = (tokenizer(), vectors(), FixedAnswer(Vec::new()));
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
