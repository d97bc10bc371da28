//! N-grams that belong together, learnt from small texts whose counts are known.

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use corpus::{
    Builder, Corpus, DocumentBoundary, Ngram, NgramConfig, Ngrams, Quiet, Tokenizer,
    TokenizerModel, TrainConfig,
};
use tempfile::TempDir;

/// The corpus of a text and its tokenizer, every word of which is a token.
fn corpus(folder: &TempDir, text: &str) -> (Corpus, Tokenizer) {
    let path = common::write(folder, "text.txt", text.as_bytes());
    let text = common::open(&[&path], DocumentBoundary::BlankLine).expect("found");
    let training =
        TrainConfig { model: TokenizerModel::Wordpiece, vocabulary: 400, lowercase: true };
    let tokenizer = Tokenizer::train(&text, &training, &Quiet).expect("trained");
    let corpus = Builder::new(&text, &tokenizer, folder.path(), &Quiet).build().expect("built");
    (corpus, tokenizer)
}

/// Learns n-grams; their texts with count and score.
fn learnt(text: &str, config: NgramConfig) -> Vec<(String, Ngram)> {
    let folder = TempDir::new().expect("a folder");
    let (corpus, tokenizer) = corpus(&folder, text);
    let ngrams = Ngrams::learn(&corpus, config, &Quiet).expect("learnt");
    ngrams.into_iter().map(|ngram| (tokenizer.decode(&ngram.tokens), ngram)).collect()
}

/// Sentences of which "red deer park" is one n-gram, among others.
fn park(repeats: usize) -> String {
    let sentences = ["We saw red deer park.", "The red fox ran.", "A deer ran by the park."];
    (0..repeats).map(|_| format!("{}\n", sentences.join(" "))).collect()
}

#[test]
fn counts_and_scores_are_those_of_the_definition() {
    let ngrams = learnt(&park(12), NgramConfig { min_count: 12, size: 1000 });
    let of: HashMap<&str, &Ngram> =
        ngrams.iter().map(|(text, ngram)| (text.as_str(), ngram)).collect();

    // By hand: words with their full stops are 6, 5 and 7 a repeat; pairs 5, 4 and 6; triples 4, 3
    // and 5.
    let (one, two, three) = (18.0f64, 15.0f64, 12.0f64);
    let pair = of["red deer"];
    assert_eq!((pair.words, pair.count), (2, 12));
    let want = 2.0 * (1.0 / two).ln() - 2.0 * (2.0 / one).ln();
    assert!((pair.score - want).abs() < 1e-12, "{} is not {want}", pair.score);

    let triple = of["red deer park"];
    let segmentations = [
        3.0 * (2.0 / one).ln(),
        (1.0 / two).ln() + (2.0 / one).ln(),
        (2.0 / one).ln() + (1.0 / two).ln(),
    ];
    let most = segmentations.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let want = 2.0 * (1.0 / three).ln() - most;
    assert_eq!((triple.words, triple.count), (3, 12));
    assert!((triple.score - want).abs() < 1e-12, "{} is not {want}", triple.score);
}

#[test]
fn an_ngram_lies_within_a_sentence_and_is_frequent() {
    let text = format!("{}Only once here.\n", park(12));
    let ngrams = learnt(&text, NgramConfig { min_count: 12, size: 1000 });
    let has = |text: &str| ngrams.iter().any(|(other, _)| other == text);
    assert!(has("saw red deer park."));
    assert!(!has("park. the"), "of two sentences");
    assert!(!has("only once"), "once");
}

#[test]
fn of_each_length_its_share_is_kept_the_best_first() {
    let ngrams = learnt(&park(12), NgramConfig { min_count: 12, size: 16 });
    let lengths: Vec<usize> = ngrams.iter().map(|(_, ngram)| ngram.words).collect();
    assert_eq!(lengths, [vec![2; 8], vec![3; 4], vec![4; 2], vec![5; 2]].concat());
    for length in 2..=5 {
        let scores = ngrams.iter().filter(|(_, n)| n.words == length).map(|(_, n)| n.score);
        assert!(scores.is_sorted_by(|a, b| a >= b));
    }
}

#[test]
fn a_file_gives_back_what_was_written_and_names_what_is_wrong() {
    let folder = TempDir::new().expect("a folder");
    let (corpus, tokenizer) = corpus(&folder, &park(12));
    let ngrams = Ngrams::learn(&corpus, NgramConfig { min_count: 12, size: 40 }, &Quiet);
    let ngrams = ngrams.expect("learnt");
    let path = folder.path().join("ngrams.jsonl");
    Ngrams::write(&path, &tokenizer, &ngrams).expect("written");

    let read = Ngrams::read(&path, &tokenizer).expect("read");
    let same: Ngrams = ngrams.iter().map(|ngram| ngram.tokens.clone()).collect();
    assert_eq!(read.hash(), same.hash());
    assert_eq!(read.find(&[&ngrams[0].tokens]).len(), 1);

    let refused = |path: &Path| Ngrams::read(path, &tokenizer).expect_err("refused").to_string();
    let text = fs::read_to_string(&path).expect("read");
    let shorter = text.lines().take(5).map(|line| format!("{line}\n")).collect::<String>();
    for (content, reason) in [
        (shorter, "4 of"),
        (text.replacen("\"tokens\"", "\"ids\"", 1), "line 2"),
        (text.replacen(&tokenizer.hash(), "0", 1), "another tokenizer"),
        ("no\n".to_owned(), "no file of n-grams"),
        (String::new(), "no file of n-grams"),
    ] {
        fs::write(&path, content).expect("written");
        let message = refused(&path);
        assert!(message.contains(reason) && message.contains("corpus ngrams"), "{message}");
    }
}
