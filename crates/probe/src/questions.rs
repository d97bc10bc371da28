//! Questions about sentences that any text answers without labels.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use corpus::{below, keyed_rng};
use rand_chacha::ChaCha8Rng;

use crate::Error;
use crate::examples::{ProbeExample, ProbeSet};
use crate::sentences::{Document, Sentence, SentencePool, usable};

/// A question about a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether two words that follow each other are swapped (Conneau et al. 2018, BShift).
    BigramShift,
    /// Which of some words of middle frequency the sentence holds (WC).
    WordContent,
    /// How many words the sentence has: one of six ranges (SentLen).
    SentenceLength,
    /// Whether two sentences of a paragraph are in their order; differences of length are as
    /// frequent in both directions.
    SentenceOrder,
    /// Whether one of four sentences is of another document; it has as many words as the one in
    /// whose place it stands.
    ForeignSentence,
}

/// Ranges of words of [`Question::SentenceLength`], by their last number.
const LENGTHS: [usize; 6] = [8, 12, 16, 20, 25, 30];
/// Classes of [`Question::WordContent`].
const CONTENT_WORDS: usize = 20;
/// The most frequent words that [`Question::WordContent`] leaves out.
const FREQUENT_WORDS: usize = 150;
/// Sentences of a paragraph in [`Question::ForeignSentence`].
const PARAGRAPH: usize = 4;
/// Test examples for each training example.
const TEST_SHARE: usize = 4;

impl Question {
    /// All questions.
    pub const ALL: [Self; 5] = [
        Self::BigramShift,
        Self::WordContent,
        Self::SentenceLength,
        Self::SentenceOrder,
        Self::ForeignSentence,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::BigramShift => "bigram-shift",
            Self::WordContent => "word-content",
            Self::SentenceLength => "sentence-length",
            Self::SentenceOrder => "sentence-order",
            Self::ForeignSentence => "foreign-sentence",
        }
    }

    /// Its examples: at most `most` for training and a quarter as many for test, as many of each
    /// class. `seed` decides which.
    ///
    /// # Errors
    /// When the text has too few sentences of the kind.
    pub fn examples(self, pool: &SentencePool, most: usize, seed: u64) -> Result<ProbeSet, Error> {
        let words = content_words(pool);
        let classes: Vec<String> = match self {
            Self::BigramShift => ["original", "shifted"].map(str::to_owned).to_vec(),
            Self::WordContent => words.clone(),
            Self::SentenceLength => LENGTHS.map(|last| format!("to-{last}")).to_vec(),
            Self::SentenceOrder => ["in-order", "swapped"].map(str::to_owned).to_vec(),
            Self::ForeignSentence => ["own", "foreign"].map(str::to_owned).to_vec(),
        };

        let side = |documents: &[Document], most: usize, number: u64| {
            let rng = &mut keyed_rng(self.name(), seed, number, 0);
            let candidates = match self {
                Self::BigramShift => shifts(documents, rng),
                Self::WordContent => contents(documents, &words),
                Self::SentenceLength => lengths(documents),
                Self::SentenceOrder => orders(documents, rng),
                Self::ForeignSentence => foreigners(documents, rng),
            };
            balanced(candidates, classes.len(), most, rng)
        };
        let train = side(&pool.train, most, 0);
        let test = side(&pool.test, most.div_ceil(TEST_SHARE), 1);

        let too_few = train.len() < 10 * classes.len() || test.len() < 5 * classes.len();
        if too_few || classes.is_empty() {
            return Err(Error(format!(
                "{}: the text has too few sentences of 5 to 30 words for it ({} to learn from, {} \
                 to measure on); give more text",
                self.name(),
                train.len(),
                test.len()
            )));
        }
        Ok(ProbeSet { classes, train, test })
    }
}

/// As many of `candidates` of each of `classes` classes, at most `most` in all, in random order.
fn balanced(
    candidates: Vec<ProbeExample>,
    classes: usize,
    most: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<ProbeExample> {
    let mut by_class: Vec<Vec<ProbeExample>> = vec![Vec::new(); classes];
    for example in candidates {
        by_class[example.class as usize].push(example);
    }

    let fewest = by_class.iter().map(Vec::len).min().unwrap_or(0).min(most / classes.max(1));
    let mut chosen = Vec::with_capacity(fewest * classes);
    for mut examples in by_class {
        shuffle(&mut examples, rng);
        chosen.extend(examples.into_iter().take(fewest));
    }
    shuffle(&mut chosen, rng);
    chosen
}

fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, rng));
    }
}

fn alone(text: String, class: usize) -> ProbeExample {
    ProbeExample { text, pair: None, class: class as u32 }
}

/// Every second sentence with two neighbouring words swapped, neither of them the first or the
/// last.
fn shifts(documents: &[Document], rng: &mut ChaCha8Rng) -> Vec<ProbeExample> {
    let mut sentences: Vec<&Sentence> = usable(documents).map(|(_, sentence)| sentence).collect();
    shuffle(&mut sentences, rng);

    let example = |(i, sentence): (usize, &&Sentence)| {
        let mut words: Vec<&str> = sentence.text.split(' ').collect();
        let first = 1 + below(words.len() - 3, rng);
        // Swapping equal words changes nothing.
        if words[first] == words[first + 1] {
            return None;
        }
        if i % 2 == 1 {
            words.swap(first, first + 1);
        }
        Some(alone(words.join(" "), i % 2))
    };
    sentences.iter().enumerate().filter_map(example).collect()
}

/// Of the words that are not the most frequent, those of which the rarer side has most sentences, in
/// the order of the alphabet.
fn content_words(pool: &SentencePool) -> Vec<String> {
    let (train, test) = (word_counts(&pool.train), word_counts(&pool.test));
    let by_count = |words: &mut Vec<(&String, usize)>| {
        words.sort_unstable_by(|(word, count), (other_word, other_count)| {
            other_count.cmp(count).then_with(|| word.cmp(other_word))
        });
    };

    let mut words: Vec<(&String, usize)> = train.iter().map(|(word, n)| (word, *n)).collect();
    by_count(&mut words);
    let in_test = |word: &String| test.get(word).copied().unwrap_or(0);
    let mut rarer: Vec<(&String, usize)> = words
        .into_iter()
        .skip(FREQUENT_WORDS)
        .map(|(word, count)| (word, count.min(TEST_SHARE * in_test(word))))
        .collect();
    by_count(&mut rarer);

    let chosen: BTreeSet<&String> =
        rarer.into_iter().take(CONTENT_WORDS).map(|(word, _)| word).collect();
    chosen.into_iter().cloned().collect()
}

/// The number of sentences that hold each word.
fn word_counts(documents: &[Document]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for word in usable(documents).flat_map(|(_, sentence)| plain_words(sentence)) {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

/// The different words of a sentence in lower case that consist of at least four letters.
fn plain_words(sentence: &Sentence) -> BTreeSet<String> {
    let word = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        (word.chars().count() >= 4 && word.chars().all(char::is_alphabetic)).then_some(word)
    };
    sentence.text.split(' ').filter_map(word).collect()
}

/// The sentences that hold exactly one of `words`.
fn contents(documents: &[Document], words: &[String]) -> Vec<ProbeExample> {
    let example = |(_, sentence): (usize, &Sentence)| {
        let held = plain_words(sentence);
        let mut classes = held.iter().filter_map(|word| words.binary_search(word).ok());
        match (classes.next(), classes.next()) {
            (Some(class), None) => Some(alone(sentence.text.clone(), class)),
            _ => None,
        }
    };
    usable(documents).filter_map(example).collect()
}

fn lengths(documents: &[Document]) -> Vec<ProbeExample> {
    let example = |(_, sentence): (usize, &Sentence)| {
        let class = LENGTHS.partition_point(|last| *last < sentence.words);
        alone(sentence.text.clone(), class)
    };
    usable(documents).map(example).collect()
}

/// Sentences that follow each other, in their order or swapped: as many with each difference of
/// length as with its negative, and of each difference as many in order as swapped.
fn orders(documents: &[Document], rng: &mut ChaCha8Rng) -> Vec<ProbeExample> {
    let mut by_difference: BTreeMap<isize, Vec<(&Sentence, &Sentence)>> = BTreeMap::new();
    for paragraph in documents.iter().flatten() {
        // No sentence is in two pairs.
        for pair in paragraph.chunks_exact(2).filter(|pair| pair.iter().all(Sentence::is_usable)) {
            let difference = pair[0].words as isize - pair[1].words as isize;
            by_difference.entry(difference).or_default().push((&pair[0], &pair[1]));
        }
    }
    by_difference.values_mut().for_each(|pairs| shuffle(pairs, rng));

    let count = |difference: isize| by_difference.get(&difference).map_or(0, Vec::len);
    let mut examples = Vec::new();
    for (difference, pairs) in &by_difference {
        let shared = count(*difference).min(count(-difference)) / 2 * 2;
        for (i, (first, second)) in pairs.iter().take(shared).enumerate() {
            let (text, pair) = if i % 2 == 0 { (first, second) } else { (second, first) };
            let pair = Some(pair.text.clone());
            examples.push(ProbeExample { text: text.text.clone(), pair, class: i as u32 % 2 });
        }
    }
    examples
}

/// Four sentences that follow each other; in every second case one but the first is of another
/// document and has as many words as the one that stood there.
fn foreigners(documents: &[Document], rng: &mut ChaCha8Rng) -> Vec<ProbeExample> {
    let mut by_length: HashMap<usize, Vec<(usize, &Sentence)>> = HashMap::new();
    for (number, document) in documents.iter().enumerate() {
        for sentence in document.iter().flat_map(|paragraph| paragraph.iter().skip(1)) {
            by_length.entry(sentence.words).or_default().push((number, sentence));
        }
    }

    let mut windows: Vec<(usize, &[Sentence])> = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        let of_paragraph = document.iter().flat_map(|p| p.chunks_exact(PARAGRAPH));
        let are_usable = |window: &&[Sentence]| window.iter().all(Sentence::is_usable);
        windows.extend(of_paragraph.filter(are_usable).map(|window| (number, window)));
    }
    shuffle(&mut windows, rng);

    let example = |(i, (number, window)): (usize, &(usize, &[Sentence]))| {
        let place = 1 + below(PARAGRAPH - 1, rng);
        let alike = &by_length[&window[place].words];
        let (other, foreign) = alike[below(alike.len(), rng)];
        // Both classes lose the windows for which a sentence of the same document was drawn.
        if other == *number {
            return None;
        }
        let mut texts: Vec<&str> = window.iter().map(|sentence| sentence.text.as_str()).collect();
        if i % 2 == 1 {
            texts[place] = &foreign.text;
        }
        Some(alone(texts.join(" "), i % 2))
    };
    windows.iter().enumerate().filter_map(example).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus::uniform;

    /// Documents of random words; a sentence tells its document by its second word.
    fn pool(documents: usize, seed: u64) -> SentencePool {
        let rng = &mut keyed_rng("pool", seed, 0, 0);
        let mut sentence = |document: usize| {
            let n = 4 + below(28, rng);
            let word = |rng: &mut ChaCha8Rng| {
                // Zipf-like.
                let rank = (300.0f64.powf(uniform(rng))) as usize;
                format!("word{}", (b'a' + (rank % 26) as u8) as char)
                    + &((b'a' + (rank / 26) as u8) as char).to_string()
            };
            let words: Vec<String> = (0..n).map(|_| word(rng)).collect();
            Sentence::new(&format!("Of document{document} {}.", words.join(" ")))
        };
        let mut paragraph = |document| (0..9).map(|_| sentence(document)).collect();
        let document = |number| (0..6).map(|_| paragraph(number)).collect();
        SentencePool::of((0..documents).map(document).collect(), seed)
    }

    fn words(text: &str) -> Vec<&str> {
        text.split(' ').collect()
    }

    #[test]
    fn every_class_is_as_frequent_and_no_text_is_on_both_sides() {
        let pool = pool(150, 1);
        for question in Question::ALL {
            let set = question.examples(&pool, 1200, 3).expect("examples");
            for side in [&set.train, &set.test] {
                let count =
                    |class: usize| side.iter().filter(|e| e.class as usize == class).count();
                let counts: Vec<usize> = (0..set.classes.len()).map(count).collect();
                assert!(counts.iter().all(|count| *count == counts[0] && *count > 4), "{counts:?}");
            }
            assert!(set.train.len() <= 1200 && set.test.len() <= 300);
            assert_eq!(set, question.examples(&pool, 1200, 3).expect("the same again"));
            assert_ne!(set, question.examples(&pool, 1200, 4).expect("others"));

            let texts = |side: &[ProbeExample]| -> BTreeSet<String> {
                side.iter().map(|example| example.text.clone()).collect()
            };
            assert!(texts(&set.train).is_disjoint(&texts(&set.test)));
        }
    }

    #[test]
    fn a_shifted_sentence_is_one_swap_away_from_a_sentence_of_the_text() {
        let pool = pool(20, 1);
        let texts: BTreeSet<&str> =
            usable(&pool.train).map(|(_, sentence)| sentence.text.as_str()).collect();
        let set = Question::BigramShift.examples(&pool, 400, 1).expect("examples");
        for example in &set.train {
            let words = words(&example.text);
            let swaps = (1..words.len() - 2).filter(|i| {
                let mut words = words.clone();
                words.swap(*i, i + 1);
                texts.contains(words.join(" ").as_str())
            });
            if example.class == 0 {
                assert!(texts.contains(example.text.as_str()));
            } else {
                assert!(!texts.contains(example.text.as_str()) && swaps.count() >= 1);
            }
        }
    }

    #[test]
    fn lengths_tell_nothing_about_the_order() {
        let set = Question::SentenceOrder.examples(&pool(150, 2), 4000, 1).expect("examples");
        let difference = |example: &ProbeExample| {
            let second = example.pair.as_deref().expect("a second text");
            words(&example.text).len() as isize - words(second).len() as isize
        };
        let longer = |class: u32| {
            let of_class = set.train.iter().filter(|example| example.class == class);
            let lengths: Vec<isize> = of_class.map(difference).collect();
            lengths.iter().filter(|d| **d > 0).count() as f64 / lengths.len() as f64
        };
        // Before a part of the examples is chosen, both are one half.
        assert!((longer(0) - longer(1)).abs() < 0.05, "{} and {}", longer(0), longer(1));
    }

    #[test]
    fn a_foreign_sentence_has_the_length_of_the_one_it_replaces() {
        let pool = pool(60, 3);
        let set = Question::ForeignSentence.examples(&pool, 2000, 1).expect("examples");
        let mean = |class: u32| {
            let of_class = set.train.iter().filter(|example| example.class == class);
            let lengths: Vec<usize> = of_class.map(|e| words(&e.text).len()).collect();
            lengths.iter().sum::<usize>() as f64 / lengths.len() as f64
        };
        assert!((mean(0) - mean(1)).abs() < 3.0, "{} and {}", mean(0), mean(1));

        for example in &set.train {
            let of: BTreeSet<&str> =
                words(&example.text).into_iter().filter(|w| w.starts_with("document")).collect();
            assert_eq!(of.len(), 1 + example.class as usize, "{}", example.text);
        }
    }

    #[test]
    fn a_word_is_held_once_and_a_length_is_in_its_range() {
        let pool = pool(150, 4);
        let contents = Question::WordContent.examples(&pool, 1000, 1).expect("examples");
        for example in &contents.train {
            let held = plain_words(&Sentence::new(&example.text));
            let known: Vec<&String> =
                contents.classes.iter().filter(|c| held.contains(*c)).collect();
            assert_eq!(known, [&contents.classes[example.class as usize]]);
        }

        let lengths = Question::SentenceLength.examples(&pool, 1000, 1).expect("examples");
        for example in &lengths.train {
            let n = words(&example.text).len();
            let class = example.class as usize;
            assert!(n <= LENGTHS[class] && (class == 0 || n > LENGTHS[class - 1]));
        }
    }

    #[test]
    fn too_little_text_is_refused() {
        let error = Question::WordContent.examples(&pool(1, 1), 1000, 1).expect_err("refused");
        assert!(error.to_string().contains("give more text"), "{error}");
    }
}
