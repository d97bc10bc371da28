//! Small tokenizers for tests.

use corpus::Tokenizer;

/// An uncased WordPiece tokenizer with the special tokens of BERT as 0 to 4, then `tokens`.
pub fn wordpiece(tokens: &[&str]) -> Tokenizer {
    let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let lines: String = specials.iter().chain(tokens).map(|token| format!("{token}\n")).collect();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("vocab.txt"), lines).expect("a vocabulary");
    Tokenizer::open(folder.path()).expect("a tokenizer")
}
