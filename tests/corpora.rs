//! The corpus that comes with the program is what its README says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The documents below a folder, as lists of paragraphs.
fn documents(folder: &str) -> Vec<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/tiny").join(folder);
    let mut paths: Vec<_> =
        fs::read_dir(&folder).expect("there").map(|entry| entry.expect("listed").path()).collect();
    paths.sort();
    let texts = paths.iter().map(|path| fs::read_to_string(path).expect("UTF-8"));
    let split = |text: String| -> Vec<Vec<String>> {
        text.split("\n\n").map(|document| document.lines().map(str::to_owned).collect()).collect()
    };
    texts.flat_map(split).collect()
}

#[test]
fn the_tiny_corpus_is_large_and_varied_enough() {
    let (train, valid) = (documents("train"), documents("valid"));
    let all: Vec<&Vec<String>> = train.iter().chain(&valid).collect();
    assert!(all.len() >= 120, "{} documents", all.len());
    let bytes: usize = all.iter().flat_map(|document| document.iter()).map(String::len).sum();
    assert!(bytes >= 150_000, "{bytes} bytes");
    assert!(valid.len() >= 8, "{} held out", valid.len());
    for document in all {
        assert!(document.len() >= 4, "several paragraphs: {document:?}");
    }
}

#[test]
fn no_paragraph_of_the_tiny_corpus_occurs_twice() {
    let mut seen = BTreeSet::new();
    for paragraph in documents("train").into_iter().chain(documents("valid")).flatten() {
        assert!(!paragraph.trim().is_empty(), "a blank line too many");
        // Recipes share short headings.
        assert!(paragraph.len() < 40 || seen.insert(paragraph.clone()), "twice: {paragraph}");
    }
}
