//! The sentences of a text, and which paragraphs are learnt from.

use corpus::{Documents, Event, Text, keyed_rng, sentences, uniform};

/// Fewest and most words of a sentence that is asked about.
const WORDS: std::ops::RangeInclusive<usize> = 5..=30;
/// Share of the paragraphs that classifiers learn from.
const TRAIN_SHARE: f64 = 0.8;

/// The sentences of the documents of a text, paragraph by paragraph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentencePool {
    /// The paragraphs of each document that classifiers learn from.
    pub train: Vec<Document>,
    /// The paragraphs of each document that classifiers are measured on.
    pub test: Vec<Document>,
}

/// The paragraphs of a document.
pub type Document = Vec<Vec<Sentence>>;

/// A sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Its text, with single blanks between words.
    pub text: String,
    /// Number of words, which white space separates.
    pub words: usize,
}

impl Sentence {
    /// A sentence of words between white space.
    pub fn new(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        Self { text: words.join(" "), words: words.len() }
    }

    /// Whether its length is one that is asked about.
    pub fn is_usable(&self) -> bool {
        WORDS.contains(&self.words)
    }
}

impl SentencePool {
    /// The sentences of a text. `seed` decides which paragraphs are learnt from.
    ///
    /// # Errors
    /// Those of reading the text.
    pub fn read(text: &Text, seed: u64) -> corpus::Result<Self> {
        let (mut documents, mut open) = (Vec::new(), Document::new());
        for event in Documents::new(text) {
            match event? {
                Event::Paragraph { text, .. } => {
                    let sentences = sentences(&text).into_iter();
                    open.push(sentences.map(|range| Sentence::new(&text[range])).collect());
                }
                Event::EndOfDocument => documents.push(std::mem::take(&mut open)),
            }
        }
        documents.push(open);
        Ok(Self::of(documents, seed))
    }

    /// The sentences of `documents`.
    pub fn of(documents: Vec<Document>, seed: u64) -> Self {
        let mut pool = Self::default();
        for (number, document) in documents.into_iter().enumerate() {
            let rng = &mut keyed_rng("probe-split", seed, number as u64, 0);
            let (train, test) = document.into_iter().partition(|_| uniform(rng) < TRAIN_SHARE);
            pool.train.push(train);
            pool.test.push(test);
        }
        pool
    }
}

/// All usable sentences of `documents`, with the number of their document.
pub fn usable(documents: &[Document]) -> impl Iterator<Item = (usize, &Sentence)> {
    let numbered = documents.iter().enumerate();
    numbered
        .flat_map(|(number, document)| document.iter().flatten().map(move |s| (number, s)))
        .filter(|(_, sentence)| sentence.is_usable())
}
