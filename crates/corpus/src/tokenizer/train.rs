//! Training tokenizers. The same text gives the same file for any number of threads.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer,
};

use super::json::from_json;
use super::{Tokenizer, open};
use crate::error::{Error, Result};
use crate::observer::{ProgressObserver, check};
use crate::reader::{Documents, Event};
use crate::text::Text;

/// A kind of subword model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerModel {
    /// BERT's WordPiece: pieces inside a word begin with `##`.
    Wordpiece,
    /// RoBERTa's byte-level byte-pair encoding.
    Bpe,
    /// ALBERT's unigram language model over pieces.
    Unigram,
}

/// How a tokenizer is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// The kind of model.
    pub model: TokenizerModel,
    /// Number of tokens, special tokens included.
    pub vocabulary: usize,
    /// Whether to lower-case and strip accents (not for byte-level BPE).
    pub lowercase: bool,
}

/// Version of the training; part of the cache key.
const FORMAT: u32 = 3;
/// Size in bytes of a batch of paragraphs whose words are counted at once.
const BATCH_BYTES: usize = 4 << 20;
/// Size in bytes of the text whose words are counted. More text changes little; of a larger text,
/// evenly spaced paragraphs are counted.
const SAMPLE_BYTES: u64 = 256 << 20;
/// Size in bytes above which a word, such as encoded data, is cut: the time of a trainer grows with
/// the square of the length of a word.
const LONGEST_WORD: usize = 1000;
/// As [`SAMPLE_BYTES`], for the Unigram trainer, which holds a suffix array of its words.
const UNIGRAM_SAMPLE_BYTES: u64 = 64 << 20;

impl Tokenizer {
    /// Trains a tokenizer, or opens the one that `cache` holds for this text and these settings.
    ///
    /// # Errors
    /// When the text cannot be read or is empty, the vocabulary cannot even hold the alphabet, or
    /// the caller stops.
    pub fn train_cached(
        text: &Text,
        config: &TrainConfig,
        cache: &Path,
        observer: &dyn ProgressObserver,
    ) -> Result<Self> {
        let settings = (FORMAT, config, &text.config.document, &text.config.text_field);
        let settings = serde_json::to_string(&settings).expect("settings are JSON");
        let content = text.content_hashes(observer)?.join("");
        let key = blake3::hash(format!("{settings}{content}").as_bytes()).to_hex();

        let path = cache.join(format!("tokenizer-{}.json", &key[..16]));
        if path.is_file() {
            match Self::open(&path) {
                Ok(tokenizer) => return Ok(tokenizer),
                Err(error) => tracing::warn!("{error}; it is trained again"),
            }
        }

        let tokenizer = Self::train(text, config, observer)?;
        std::fs::create_dir_all(cache).map_err(Error::io("make the folder", cache))?;
        tokenizer.save(&path)?;
        Ok(tokenizer)
    }

    /// Trains a tokenizer.
    ///
    /// # Errors
    /// As [`Tokenizer::train_cached`].
    pub fn train(
        text: &Text,
        config: &TrainConfig,
        observer: &dyn ProgressObserver,
    ) -> Result<Self> {
        let parts = match config.model {
            TokenizerModel::Wordpiece => wordpiece(text, config, observer)?,
            TokenizerModel::Bpe => byte_level(text, config, observer)?,
            TokenizerModel::Unigram => unigram(text, config, observer)?,
        };
        let tokenizer = Self::new(from_json(&parts, Path::new("the trained tokenizer"))?)?;

        let (size, wanted) = (tokenizer.vocabulary_size(), config.vocabulary);
        if size < wanted {
            tracing::warn!("the text has only pieces for {size} of the {wanted} tokens asked for");
        }
        Ok(tokenizer)
    }
}

const BERT_SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const ROBERTA_SPECIALS: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];
const ALBERT_SPECIALS: [&str; 5] = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"];

/// WordPiece as BERT's successors train it: byte-pair merges over characters, where pieces inside a
/// word begin with `##`.
fn wordpiece(text: &Text, config: &TrainConfig, observer: &dyn ProgressObserver) -> Result<Value> {
    let parts = open::wordpiece_parts(Map::new(), config.lowercase);
    let words = count_words(text, &parts, SAMPLE_BYTES, observer)?;

    // The most frequent characters: a thousand, as BERT's trainers keep, or fewer for a small
    // vocabulary. Words with other characters become [UNK].
    let (alphabet, inside) = alphabet(&words, (config.vocabulary / 16).clamp(100, 1000));
    // As special tokens, characters have ids that do not depend on the order of a hash map.
    let mut known: Vec<String> = BERT_SPECIALS.map(str::to_owned).to_vec();
    known.extend(alphabet.iter().map(char::to_string));
    known.extend(inside.iter().map(|c| format!("##{c}")));
    fits(config.vocabulary, known.len())?;

    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(config.vocabulary)
        .min_frequency(2)
        .limit_alphabet(alphabet.len())
        .initial_alphabet(alphabet.into_iter().collect())
        .continuing_subword_prefix("##".to_owned())
        .special_tokens(known.into_iter().map(|token| AddedToken::from(token, true)).collect())
        .build();

    let vocabulary = merge(&trainer, &words)?.get_vocab();
    let vocabulary = vocabulary.into_iter().map(|(token, id)| (token, id.into())).collect();
    Ok(open::wordpiece_parts(vocabulary, config.lowercase))
}

/// Byte-level BPE as RoBERTa has it.
fn byte_level(text: &Text, config: &TrainConfig, observer: &dyn ProgressObserver) -> Result<Value> {
    let parts = open::byte_level_parts(Map::new(), Vec::new());
    let words = count_words(text, &parts, SAMPLE_BYTES, observer)?;
    fits(config.vocabulary, ROBERTA_SPECIALS.len() + 257)?;

    let trainer = BpeTrainer::builder()
        .show_progress(false)
        // One less: <mask> is appended below.
        .vocab_size(config.vocabulary - 1)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(ROBERTA_SPECIALS.map(|token| AddedToken::from(token, true)).to_vec())
        .build();

    let model = merge(&trainer, &words)?;
    let model = serde_json::to_value(&model).map_err(|error| Error::data(error.to_string()))?;
    let (Some(vocabulary), Some(merges)) = (model["vocab"].as_object(), model["merges"].as_array())
    else {
        return Err(Error::data("the trained model has no vocabulary"));
    };

    let mut vocabulary = vocabulary.clone();
    vocabulary.insert("<mask>".to_owned(), vocabulary.len().into());
    Ok(open::byte_level_parts(vocabulary, merges.clone()))
}

/// A Unigram model as ALBERT has it.
fn unigram(text: &Text, config: &TrainConfig, observer: &dyn ProgressObserver) -> Result<Value> {
    let parts = open::unigram_parts(vec![json!(["<unk>", 0.0])], 0, config.lowercase);
    let words = count_words(text, &parts, UNIGRAM_SAMPLE_BYTES, observer)?;
    fits(config.vocabulary, ALBERT_SPECIALS.len() + 32)?;

    let trainer = UnigramTrainer::builder()
        .show_progress(false)
        .vocab_size(config.vocabulary as u32)
        .special_tokens(ALBERT_SPECIALS.map(|token| AddedToken::from(token, true)).to_vec())
        .unk_token(Some("<unk>".to_owned()))
        .build()
        .map_err(|error| Error::data(error.to_string()))?;
    let mut model = Unigram::default();
    let words: Vec<(String, u32)> = words
        .into_iter()
        .map(|(word, count)| (word, u32::try_from(count).unwrap_or(u32::MAX)))
        .collect();

    // A single thread, since the sums of the expectation step would otherwise depend on how the
    // words are shared between threads.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.map_err(|error| Error::data(error.to_string()))?;
    pool.install(|| trainer.do_train(words, &mut model))
        .map_err(|error| Error::data(error.to_string()))?;

    let model = serde_json::to_value(&model).map_err(|error| Error::data(error.to_string()))?;
    let vocabulary: Vec<(String, f64)> = serde_json::from_value(model["vocab"].clone())
        .map_err(|error| Error::data(error.to_string()))?;
    let unk = model["unk_id"].as_u64().unwrap_or(1) as usize;

    let mut specials: Vec<ScoredPiece> =
        vocabulary.into_iter().map(|(text, score)| ScoredPiece { text, score }).collect();
    let pieces = in_fixed_order(specials.split_off(ALBERT_SPECIALS.len()));
    let pieces =
        specials.iter().chain(&pieces).map(|piece| json!([piece.text, piece.score])).collect();
    Ok(open::unigram_parts(pieces, unk, config.lowercase))
}

/// A piece of a Unigram model with its log probability.
struct ScoredPiece {
    text: String,
    score: f64,
}

/// Sorts pieces by score, then by text. The trainer gives the lowest scores, 1e-4 apart, to
/// characters for which no piece was left, in the order of a hash map; here these characters get
/// the same scores in their own order.
fn in_fixed_order(mut pieces: Vec<ScoredPiece>) -> Vec<ScoredPiece> {
    pieces.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.text.cmp(&b.text)));

    let single: Vec<usize> =
        (0..pieces.len()).rev().filter(|i| pieces[*i].text.chars().count() == 1).collect();
    let next_to = |pair: &&[usize]| pieces[pair[1]].score - pieces[pair[0]].score < 1.5e-4;
    let run = (1 + single.windows(2).take_while(next_to).count()).min(single.len());
    let mut characters: Vec<String> =
        single[..run].iter().map(|i| pieces[*i].text.clone()).collect();
    characters.sort_unstable();

    for (position, character) in single.iter().zip(characters) {
        pieces[*position].text = character;
    }
    pieces
}

/// The byte-pair model that `trainer` makes of the counts of `words`.
fn merge(trainer: &BpeTrainer, words: &[(String, u64)]) -> Result<BPE> {
    let mut model = BPE::default();
    let counts = words.iter().map(|(word, count)| (word.as_str().into(), *count)).collect();
    trainer.do_train(&counts, &mut model).map_err(|error| Error::data(error.to_string()))?;
    Ok(model)
}

/// Refuses a vocabulary smaller than `needed`.
fn fits(vocabulary: usize, needed: usize) -> Result<()> {
    if vocabulary >= needed {
        return Ok(());
    }
    Err(Error::data(format!(
        "a vocabulary of {vocabulary} tokens is too small: \
         special tokens and alphabet alone take {needed}"
    )))
}

/// The `limit` most frequent characters, sorted, and those of them that occur after the beginning
/// of a word.
fn alphabet(words: &[(String, u64)], limit: usize) -> (Vec<char>, Vec<char>) {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    for (word, count) in words {
        word.chars().for_each(|c| *counts.entry(c).or_default() += count);
    }
    let mut frequent: Vec<(char, u64)> = counts.into_iter().collect();
    frequent.sort_by_key(|(c, count)| (std::cmp::Reverse(*count), *c));
    let mut kept: Vec<char> = frequent.into_iter().take(limit).map(|(c, _)| c).collect();
    kept.sort_unstable();

    let mut inside: Vec<char> = words.iter().flat_map(|(word, _)| word.chars().skip(1)).collect();
    inside.sort_unstable();
    inside.dedup();
    inside.retain(|c| kept.binary_search(c).is_ok());
    (kept, inside)
}

/// How often each word occurs, sorted by word.
fn count_words(
    text: &Text,
    parts: &Value,
    sample: u64,
    observer: &dyn ProgressObserver,
) -> Result<Vec<(String, u64)>> {
    let splitter = from_json(parts, Path::new("the word splitter"))?;
    let stride = text.bytes().div_ceil(sample).max(1);
    if stride > 1 {
        tracing::warn!("the text is large: the tokenizer learns from one of {stride} paragraphs");
    }

    observer.stage("counting words", Some(text.bytes()));
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut batch: Vec<String> = Vec::new();
    let (mut size, mut number) = (0, 0u64);
    let mut documents = Documents::new(text);
    while let Some(event) = documents.next() {
        let Event::Paragraph { text: paragraph, .. } = event? else { continue };
        number += 1;
        if !(number - 1).is_multiple_of(stride) {
            continue;
        }

        size += paragraph.len();
        batch.push(paragraph);
        if size >= BATCH_BYTES {
            check(observer)?;
            count_batch(&splitter, &batch, &mut counts)?;
            observer.advance(documents.progress());
            (size, batch) = (0, Vec::new());
        }
    }
    count_batch(&splitter, &batch, &mut counts)?;
    observer.finish();

    if counts.is_empty() {
        return Err(Error::data("the text is empty: there is nothing to train a tokenizer on"));
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_unstable();
    Ok(counts)
}

/// Cuts a word into pieces of at most [`LONGEST_WORD`] bytes.
fn cut(word: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), word);
    while rest.len() > LONGEST_WORD {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(LONGEST_WORD));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// Adds the counts of the words of `batch` to `counts`.
fn count_batch(
    splitter: &tokenizers::Tokenizer,
    batch: &[String],
    counts: &mut HashMap<String, u64>,
) -> Result<()> {
    // Paragraphs repeat many pieces, each of which is split into words only once.
    let mut pieces: HashMap<&str, u64> = HashMap::new();
    if super::pieces::separable(splitter) {
        let all = batch.iter().flat_map(|paragraph| super::pieces::pieces(paragraph));
        all.for_each(|piece| *pieces.entry(piece).or_default() += 1);
    } else {
        batch.iter().for_each(|paragraph| *pieces.entry(paragraph).or_default() += 1);
    }

    let parts: Vec<_> = pieces
        .into_par_iter()
        .map(|(piece, count)| split_words(splitter, piece).map(|words| (words, count)))
        .collect();
    for part in parts {
        let (words, count) = part.map_err(|error| Error::data(error.to_string()))?;
        for word in words {
            *counts.entry(word).or_default() += count;
        }
    }
    Ok(())
}

/// The words of a text, normalised, the long ones cut.
fn split_words(splitter: &tokenizers::Tokenizer, text: &str) -> tokenizers::Result<Vec<String>> {
    let mut normalized = NormalizedString::from(text);
    if let Some(normalizer) = splitter.get_normalizer() {
        normalizer.normalize(&mut normalized)?;
    }
    let mut split = PreTokenizedString::from(normalized);
    if let Some(pre_tokenizer) = splitter.get_pre_tokenizer() {
        pre_tokenizer.pre_tokenize(&mut split)?;
    }

    let words = split.get_splits(OffsetReferential::Normalized, OffsetType::None);
    Ok(words.into_iter().flat_map(|(word, ..)| cut(word)).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_without_end_is_cut_between_characters() {
        let word = format!("a{}", "é".repeat(1200));
        let pieces = cut(&word);
        assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [999, 1000, 402]);
        assert_eq!(pieces.concat(), word);
        assert_eq!(cut("word"), ["word"]);
    }
}
