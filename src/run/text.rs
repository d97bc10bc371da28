//! From a configuration to tokenizer, corpora and passages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use corpus::{
    Builder, Corpus, Ngrams, PackingConfig, Passages, ProgressObserver, Subset, Tokenizer,
    TokenizerModel, TrainConfig,
};
use objective::Packing;
use train::Examples;

use crate::config::{CorpusConfig, RunConfig};
use crate::exit::BadInput;

/// The seed of the choice of held-out documents: not the run's, so that runs with different seeds
/// can be compared.
const SPLIT_SEED: u64 = 0;

/// Tokenizer and tokenised text of a run.
#[derive(Debug)]
pub struct PreparedText {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The training text.
    pub train: TextSource,
    /// The validation text, if there is one.
    pub valid: Option<TextSource>,
}

/// What is known about the training text as a whole.
#[derive(Clone, Debug, Default)]
pub struct TextStatistics {
    /// How often each token occurs; empty where there is no text.
    pub token_counts: Vec<u64>,
    /// N-grams of words that belong together, where a file of them is given.
    pub ngrams: Option<Arc<Ngrams>>,
}

/// Documents of a tokenised corpus.
#[derive(Clone, Debug)]
pub struct TextSource {
    /// The corpus.
    pub corpus: Arc<Corpus>,
    /// Which of its documents.
    pub subset: Subset,
}

impl PreparedText {
    /// Trains or opens the tokenizer, and tokenises training and validation text unless that was
    /// done before.
    ///
    /// # Errors
    /// Those of reading text, of the tokenizer, and of a full disk.
    pub fn new(config: &RunConfig, observer: &dyn ProgressObserver) -> Result<Self> {
        let corpus = &config.corpus;
        if corpus.paths.is_empty() {
            let message = "corpus.paths is empty: give the text with --corpus PATH";
            return Err(BadInput(message.to_owned()).into());
        }

        let cache = cache_folder(corpus)?;
        let text = open_text(corpus, &corpus.paths)?;
        let tokenizer = open_tokenizer(corpus, Some(&text), &cache, observer)?;
        let build = |text: &corpus::Text| Builder::new(text, &tokenizer, &cache, observer).build();
        let all = Arc::new(build(&text)?);
        let part = |subset| TextSource { corpus: all.clone(), subset };

        let (train, valid) = if !corpus.valid.is_empty() {
            let valid = Arc::new(build(&open_text(corpus, &corpus.valid)?)?);
            (part(Subset::All), Some(TextSource { corpus: valid, subset: Subset::All }))
        } else if corpus.valid_fraction > 0.0 && all.documents() >= 2 {
            let (valid_fraction, seed) = (corpus.valid_fraction, SPLIT_SEED);
            let valid = part(Subset::Valid { valid_fraction, seed });
            (part(Subset::Train { valid_fraction, seed }), Some(valid))
        } else {
            // No warning if the user set valid_fraction = 0.
            if corpus.valid_fraction > 0.0 {
                tracing::warn!(
                    "a text of one document cannot be split: give --valid PATH to evaluate"
                );
            }
            (part(Subset::All), None)
        };

        Ok(Self { tokenizer, train, valid })
    }
}

impl PreparedText {
    /// What is known about the training text as a whole.
    ///
    /// # Errors
    /// When the file of n-grams cannot be read, or belongs to another tokenizer.
    pub fn statistics(&self, config: &CorpusConfig) -> Result<TextStatistics> {
        let ngrams = open_ngrams(config, &self.tokenizer)?;
        Ok(TextStatistics { token_counts: self.train.token_counts(), ngrams })
    }
}

impl TextSource {
    /// How often each token occurs in the corpus.
    pub fn token_counts(&self) -> Vec<u64> {
        self.corpus.token_counts().to_vec()
    }

    /// The passages of these documents, packed for an objective.
    ///
    /// # Errors
    /// When there is no text, or the index cannot be written.
    pub fn passages(
        &self,
        config: &CorpusConfig,
        packing: Packing,
        observer: &dyn ProgressObserver,
    ) -> Result<Examples> {
        let packing = PackingConfig {
            max_tokens: config.max_length - packing.special_tokens,
            across: config.across,
            overfill: packing.overfill,
            separator_room: 1,
            short_share: config.short_share,
            seed: SPLIT_SEED,
        };

        Ok(Examples::Text(Passages::open(&self.corpus, self.subset, packing, observer)?))
    }
}

/// The n-grams of `corpus.ngrams`; none where it is empty.
///
/// # Errors
/// When the file cannot be read, or belongs to another tokenizer.
pub fn open_ngrams(config: &CorpusConfig, tokenizer: &Tokenizer) -> Result<Option<Arc<Ngrams>>> {
    if config.ngrams.as_os_str().is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(Ngrams::read(&config.ngrams, tokenizer)?)))
}

/// The text at `paths`, cut as `config` says.
pub fn open_text(config: &CorpusConfig, paths: &[String]) -> Result<corpus::Text> {
    let text = corpus::TextConfig {
        paths: paths.to_vec(),
        document: config.document,
        text_field: config.text_field.clone(),
        annotations: config.annotations,
    };
    Ok(corpus::Text::open(text)?)
}

/// The tokenizer that `corpus.tokenizer` names, with the tokens of `corpus.add_tokens`: opened, or
/// trained on `text` unless the cache has it.
///
/// # Errors
/// When there is no such file, the request cannot be read, or training is asked for without a text.
pub fn open_tokenizer(
    config: &CorpusConfig,
    text: Option<&corpus::Text>,
    cache: &Path,
    observer: &dyn ProgressObserver,
) -> Result<Tokenizer> {
    let tokenizer = match config.tokenizer.strip_prefix("train:") {
        None => Tokenizer::open(Path::new(&config.tokenizer))?,
        Some(request) => train_tokenizer(config, request, text, cache, observer)?,
    };
    if config.add_tokens.as_os_str().is_empty() {
        return Ok(tokenizer);
    }
    Ok(tokenizer.with_tokens_of(&config.add_tokens)?)
}

/// The tokenizer of a request `MODEL:SIZE`.
fn train_tokenizer(
    config: &CorpusConfig,
    request: &str,
    text: Option<&corpus::Text>,
    cache: &Path,
    observer: &dyn ProgressObserver,
) -> Result<Tokenizer> {
    let (model, vocabulary) = parse_request(request).ok_or_else(|| {
        BadInput(format!(
            "corpus.tokenizer = \"train:{request}\": write train:MODEL:SIZE, with MODEL one of \
             wordpiece, bpe, unigram and SIZE a number of tokens"
        ))
    })?;

    let text = text.context("a tokenizer can only be trained with a corpus")?;
    let training = TrainConfig { model, vocabulary, lowercase: config.lowercase };
    Ok(Tokenizer::train_cached(text, &training, cache, observer)?)
}

fn parse_request(request: &str) -> Option<(TokenizerModel, usize)> {
    let (model, size) = request.split_once(':')?;
    let model = match model {
        "wordpiece" => TokenizerModel::Wordpiece,
        "bpe" => TokenizerModel::Bpe,
        "unigram" => TokenizerModel::Unigram,
        _ => return None,
    };
    Some((model, size.parse().ok()?))
}

/// The folder of tokenised corpora: the configured one, else `bert-variants` in the user's cache
/// folder.
///
/// # Errors
/// When none is configured and the user has no home.
pub fn cache_folder(config: &CorpusConfig) -> Result<PathBuf> {
    if !config.cache.as_os_str().is_empty() {
        return Ok(config.cache.clone());
    }

    let folder =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || folder("HOME").map(|home| home.join(".cache"));
    let base = folder("XDG_CACHE_HOME").or_else(home).or_else(|| folder("LOCALAPPDATA"));

    let message = "there is no home folder to keep tokenised text in: give --cache FOLDER";
    Ok(base.context(message)?.join("bert-variants"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokenizer_requests_are_read() {
        assert_eq!(parse_request("bpe:500"), Some((TokenizerModel::Bpe, 500)));
        assert_eq!(parse_request("wordpiece"), None);
        assert_eq!(parse_request("word:500"), None);
        assert_eq!(parse_request("unigram:many"), None);
    }
}
