//! Tokenizers from the files that other tools write.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use super::json::{SpaceBefore, from_json, metaspace, special_token};
use super::sentencepiece;
use crate::error::{Error, Result};

/// Opens a tokenizer file or a folder with one.
pub fn open(path: &Path) -> Result<Tokenizer> {
    if path.is_dir() {
        return open(&find_in(path)?);
    }

    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = path.parent().unwrap_or(Path::new("."));
    if name.ends_with(".model") {
        return sentencepiece::open(path, &settings(folder));
    }

    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::data(format!("cannot read the tokenizer {}: {error}", path.display()))
    })?;
    if name.ends_with(".txt") {
        from_json(&wordpiece(&text, lowercases(folder, &text)), path)
    } else if name == "vocab.json" {
        open_byte_level(path, &text, folder)
    } else {
        text.parse()
            .map_err(|error| Error::data(format!("{} is no tokenizer: {error}", path.display())))
    }
}

/// The tokenizer file in `folder`.
fn find_in(folder: &Path) -> Result<PathBuf> {
    let known = ["tokenizer.json", "vocab.txt", "vocab.json", "spiece.model"];
    known.iter().map(|name| folder.join(name)).find(|file| file.is_file()).ok_or_else(|| {
        Error::data(format!(
            "the folder {} holds no tokenizer.json, vocab.txt, vocab.json with merges.txt, \
             or spiece.model",
            folder.display()
        ))
    })
}

/// Byte-level BPE from `vocab.json`, whose content is `text`, and `merges.txt` in the same folder.
fn open_byte_level(path: &Path, text: &str, folder: &Path) -> Result<Tokenizer> {
    let merges = folder.join("merges.txt");
    let merges = std::fs::read_to_string(&merges).map_err(|error| {
        Error::data(format!("{}: {error}; it must stand beside vocab.json", merges.display()))
    })?;
    let vocabulary: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| Error::data(format!("{}: {error}", path.display())))?;
    from_json(&byte_level(vocabulary, &merges), path)
}

/// `do_lower_case` of `tokenizer_config.json`; if it is missing, whether no token except bracketed
/// ones has a capital letter.
fn lowercases(folder: &Path, vocabulary: &str) -> bool {
    let plain = |line: &&str| !line.starts_with('[');
    let has_capital = |line: &str| line.chars().any(|c| c.is_ascii_uppercase());
    let cased = || vocabulary.lines().filter(plain).any(has_capital);
    settings(folder)["do_lower_case"].as_bool().unwrap_or_else(|| !cased())
}

/// The content of `tokenizer_config.json`, or null.
fn settings(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("tokenizer_config.json")).ok();
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
}

/// BERT's WordPiece from a `vocab.txt`: the line number is the id.
fn wordpiece(text: &str, lowercase: bool) -> Value {
    let vocabulary: Map<String, Value> = text
        .lines()
        .enumerate()
        .map(|(id, token)| (token.trim_end_matches('\r').to_owned(), id.into()))
        .collect();
    wordpiece_parts(vocabulary, lowercase)
}

/// The parts of a WordPiece tokenizer.
pub fn wordpiece_parts(vocabulary: Map<String, Value>, lowercase: bool) -> Value {
    let added = added(&vocabulary, &["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], None);

    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": true,
            "strip_accents": null,
            "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": null,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    })
}

/// The parts of a byte-level BPE tokenizer from the text of `merges.txt`.
fn byte_level(vocabulary: Map<String, Value>, merges: &str) -> Value {
    let merges =
        merges.lines().filter(|line| !line.starts_with("#version") && !line.trim().is_empty());
    let merges: Vec<Value> = merges.map(|line| line.trim_end_matches('\r').into()).collect();
    byte_level_parts(vocabulary, merges)
}

/// The parts of a byte-level BPE tokenizer.
pub fn byte_level_parts(vocabulary: Map<String, Value>, merges: Vec<Value>) -> Value {
    let specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];
    let added = added(&vocabulary, &specials, Some("<mask>"));

    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": false,
            "trim_offsets": true,
            "use_regex": true,
        },
        "post_processor": null,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": true,
            "trim_offsets": true,
            "use_regex": true,
        },
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
    })
}

/// The parts of a Unigram tokenizer like ALBERT's. `pieces` are pairs of a piece and its log
/// probability, in the order of their ids.
pub fn unigram_parts(pieces: Vec<Value>, unk: usize, lowercase: bool) -> Value {
    let vocabulary: Map<String, Value> = pieces
        .iter()
        .enumerate()
        .map(|(id, piece)| (piece[0].as_str().unwrap_or_default().to_owned(), id.into()))
        .collect();
    let specials = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"];
    let added = added(&vocabulary, &specials, Some("[MASK]"));

    let mut normalizers = vec![
        json!({"type": "NFKD"}),
        json!({"type": "StripAccents"}),
        json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}),
    ];
    if lowercase {
        normalizers.push(json!({"type": "Lowercase"}));
    }

    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": metaspace(),
        "post_processor": null,
        "decoder": metaspace(),
        "model": {"type": "Unigram", "unk_id": unk, "vocab": pieces, "byte_fallback": false},
    })
}

/// The special tokens `names` as far as the vocabulary has them; `greedy` takes the space before
/// it.
fn added(vocabulary: &Map<String, Value>, names: &[&str], greedy: Option<&str>) -> Vec<Value> {
    let token = |name: &&str| {
        let takes_space = Some(*name) == greedy;
        let space = if takes_space { SpaceBefore::Taken } else { SpaceBefore::Left };
        Some(special_token(vocabulary.get(*name)?, name, space))
    };
    names.iter().filter_map(token).collect()
}
