//! From a configuration to tokenizer, corpora and passages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use corpus::{
    Builder, Corpus, Manifest, Order, PackingConfig, Passage, Passages, Subset, Tokenizer,
    TokenizerModel, TrainConfig, Watch,
};
use objective::{Answer, Context, Example, Objective};
use trunk::EncoderConfig;

use crate::config::{CorpusConfig, RunConfig};
use crate::exit::BadInput;

/// The seed of which documents are held out: not the run's, so that runs with different seeds can
/// be compared.
const SPLIT_SEED: u64 = 0;

/// Tokenizer and tokenised text of a run.
#[derive(Debug)]
pub struct Text {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The training text.
    pub train: Source,
    /// The validation text, if there is one.
    pub valid: Option<Source>,
}

/// Documents of a tokenised corpus.
#[derive(Clone, Debug)]
pub struct Source {
    /// The corpus.
    pub corpus: Arc<Corpus>,
    /// Which of its documents.
    pub subset: Subset,
}

impl Text {
    /// Trains or opens the tokenizer, and tokenises training and validation text unless that was
    /// done before.
    ///
    /// # Errors
    /// Those of reading text, of the tokenizer, and of a disk that is full.
    pub fn prepare(config: &RunConfig, watch: &dyn Watch) -> Result<Self> {
        let corpus = &config.corpus;
        if corpus.paths.is_empty() {
            return Err(BadInput(
                "corpus.paths is empty: give the text with --corpus PATH".to_owned(),
            )
            .into());
        }
        let cache = cache_folder(corpus)?;
        let text = text(corpus, &corpus.paths)?;
        let tokenizer = open_tokenizer(corpus, Some(&text), &cache, watch)?;
        let all = Arc::new(Builder::new(&text, &tokenizer, &cache, watch).build()?);
        let fraction = corpus.valid_fraction;
        let source = |corpus: &Arc<Corpus>, subset| Source { corpus: corpus.clone(), subset };
        let (train, valid) = if !corpus.valid.is_empty() {
            let text = self::text(corpus, &corpus.valid)?;
            let valid = Arc::new(Builder::new(&text, &tokenizer, &cache, watch).build()?);
            (source(&all, Subset::All), Some(source(&valid, Subset::All)))
        } else if fraction > 0.0 && all.documents() >= 2 {
            let valid = source(&all, Subset::Valid { valid_fraction: fraction, seed: SPLIT_SEED });
            (
                source(&all, Subset::Train { valid_fraction: fraction, seed: SPLIT_SEED }),
                Some(valid),
            )
        } else {
            // Who asked for none knows it.
            if fraction > 0.0 {
                tracing::warn!(
                    "a text of one document cannot be split: give --valid PATH to evaluate"
                );
            }
            (source(&all, Subset::All), None)
        };
        Ok(Self { tokenizer, train, valid })
    }

    /// What the objective may know.
    pub fn context(&self, max_length: usize, encoder: &EncoderConfig) -> Context {
        context(&self.tokenizer, self.train.corpus.token_counts().to_vec(), max_length, encoder)
    }
}

/// What an objective may know about a tokenizer, token counts (empty where there is no training
/// text) and the encoder.
pub fn context(
    tokenizer: &Tokenizer,
    counts: Vec<u64>,
    max_length: usize,
    encoder: &EncoderConfig,
) -> Context {
    Context {
        specials: tokenizer.specials(),
        special_ids: tokenizer.all_special_ids().to_vec(),
        vocabulary: tokenizer.vocabulary_size(),
        counts,
        max_length,
        encoder: encoder.clone(),
        teacher: None,
    }
}

impl Source {
    /// The passages of these documents for `objective`.
    ///
    /// # Errors
    /// When there is no text, or the index cannot be written.
    pub fn passages(
        &self,
        config: &CorpusConfig,
        objective: &impl Objective,
        watch: &dyn Watch,
    ) -> Result<Examples> {
        let packing = PackingConfig {
            max_tokens: config.max_length - objective.room(),
            across: config.across,
            overfill: objective.overfills(),
            separator_room: 1,
            short_share: config.short_share,
            seed: SPLIT_SEED,
        };
        Ok(Examples::Text(Passages::open(&self.corpus, self.subset, packing, watch)?))
    }
}

/// What a run trains on.
#[derive(Debug)]
pub enum Examples {
    /// Passages of a text.
    Text(Passages),
    /// Labelled sequences.
    Labelled(Arc<Vec<Labelled>>),
}

/// A sequence, special tokens included, with its label, if it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Where the second segment begins.
    pub second: Option<u32>,
    /// The label.
    pub answer: Option<Answer>,
    /// What a teacher says about it.
    pub advice: Option<Vec<f32>>,
}

impl Examples {
    /// How many there are.
    pub fn len(&self) -> u64 {
        match self {
            Self::Text(passages) => passages.len(),
            Self::Labelled(rows) => rows.len() as u64,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of all of them.
    pub fn tokens(&self) -> u64 {
        match self {
            Self::Text(passages) => passages.tokens(),
            Self::Labelled(rows) => rows.iter().map(|row| row.tokens.len() as u64).sum(),
        }
    }

    /// Tokens of number `number`.
    pub fn length(&self, number: u64) -> usize {
        match self {
            Self::Text(passages) => passages.get(number).tokens.len(),
            Self::Labelled(rows) => rows[number as usize].tokens.len(),
        }
    }

    /// A hash of everything that they are made from: files of text and their tokenizer, or rows.
    pub fn fingerprint(&self) -> blake3::Hash {
        let mut hash = blake3::Hasher::new();
        match self {
            Self::Text(passages) => {
                let Manifest { content, annotations, tokenizer, .. } = passages.manifest();
                for part in content.iter().chain(annotations).chain([tokenizer]) {
                    hash.update(part.as_bytes());
                }
            }
            Self::Labelled(rows) => {
                for row in rows.iter() {
                    hash.update(format!("{row:?}").as_bytes());
                }
            }
        }
        hash.finalize()
    }

    /// Number `number` as `objective` meets it in `epoch` of the run with `seed`.
    pub fn get(&self, number: u64, seed: u64, epoch: u64, objective: &impl Objective) -> Example {
        match self {
            Self::Text(passages) => {
                let partner = objective
                    .partner_epoch(epoch)
                    .and_then(|epoch| passages.partner(number, seed, epoch));
                Example {
                    passage: passages.get(number),
                    seed,
                    epoch,
                    partner,
                    answer: None,
                    advice: None,
                }
            }
            Self::Labelled(rows) => rows[number as usize].example(number, seed, epoch),
        }
    }
}

impl Labelled {
    /// The sequence as number `number` in `epoch` of the run with `seed`.
    fn example(&self, number: u64, seed: u64, epoch: u64) -> Example {
        let segments = std::iter::once(0).chain(self.second).collect();
        let passage = Passage::of_words(number, self.tokens.clone(), segments);
        Example {
            passage,
            seed,
            epoch,
            partner: None,
            answer: self.answer.clone(),
            advice: self.advice.clone(),
        }
    }
}

/// The fixed evaluation examples of `objective`: `count` of them (0: all), always the same for the
/// same text, packing and seed.
pub fn evaluation_set(
    source: &Examples,
    count: usize,
    seed: u64,
    objective: &impl Objective,
) -> Vec<Example> {
    let len = source.len();
    let count = if count == 0 { len } else { len.min(count as u64) };
    let order = Order::new(len, seed);
    let mut numbers: Vec<u64> = (0..count).map(|i| order.at(0, i)).collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|n| source.get(n, seed, Example::EVALUATION, objective)).collect()
}

/// All of `rows` in their order, to be evaluated.
pub fn labelled_set(rows: &[Labelled]) -> Vec<Example> {
    rows.iter().zip(0..).map(|(row, number)| row.example(number, 0, Example::EVALUATION)).collect()
}

/// The text at `paths`, cut as `config` says.
pub fn text(config: &CorpusConfig, paths: &[String]) -> Result<corpus::Text> {
    let text = corpus::TextConfig {
        paths: paths.to_vec(),
        document: config.document,
        text_field: config.text_field.clone(),
        annotations: config.annotations,
    };
    Ok(corpus::Text::open(text)?)
}

/// The tokenizer that `corpus.tokenizer` names: opened, or trained on `text` unless the cache has
/// it.
///
/// # Errors
/// When there is no such file, the request cannot be read, or training is asked for without a text.
pub fn open_tokenizer(
    config: &CorpusConfig,
    text: Option<&corpus::Text>,
    cache: &Path,
    watch: &dyn Watch,
) -> Result<Tokenizer> {
    let Some(request) = config.tokenizer.strip_prefix("train:") else {
        return Ok(Tokenizer::open(Path::new(&config.tokenizer))?);
    };
    let (model, vocabulary) = parse_request(request).ok_or_else(|| {
        BadInput(format!(
            "corpus.tokenizer = \"train:{request}\": write train:MODEL:SIZE, with MODEL one of wordpiece, bpe, unigram \
             and SIZE a number of tokens"
        ))
    })?;
    let text = text.context("a tokenizer can only be trained with a corpus")?;
    let training = TrainConfig { model, vocabulary, lowercase: config.lowercase };
    Ok(Tokenizer::train_cached(text, &training, cache, watch)?)
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
