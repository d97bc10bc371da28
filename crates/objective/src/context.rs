//! The information about tokenizer, text, encoder and teacher that an objective may use.

use std::sync::Arc;

use corpus::{Ngrams, Specials, Tokenizer};
use trunk::EncoderConfig;

use crate::teacher::Teacher;

/// The information about tokenizer, text, encoder and teacher that an objective may use.
#[derive(Clone, Debug)]
pub struct Context {
    /// The special tokens of the layout.
    pub specials: Specials,
    /// All special ids, ascending.
    pub special_ids: Vec<u32>,
    /// Number of token ids.
    pub vocabulary: usize,
    /// How often each id occurs in the training text, `[vocabulary]`; empty where there is no such
    /// text.
    pub token_counts: Vec<u64>,
    /// N-grams of words that belong together; none where no file of them is given.
    pub ngrams: Option<Arc<Ngrams>>,
    /// Longest sequence, special tokens included.
    pub max_length: usize,
    /// Shape of the encoder.
    pub encoder: EncoderConfig,
    /// The model to learn from; none where the objective needs none, or is only evaluated.
    pub teacher: Option<Arc<Teacher>>,
}

impl Context {
    /// The context of a tokenizer and an encoder, without a teacher.
    pub fn new(
        tokenizer: &Tokenizer,
        token_counts: Vec<u64>,
        max_length: usize,
        encoder: &EncoderConfig,
    ) -> Self {
        Self {
            specials: tokenizer.specials(),
            special_ids: tokenizer.all_special_ids().to_vec(),
            vocabulary: tokenizer.vocabulary_size(),
            token_counts,
            ngrams: None,
            max_length,
            encoder: encoder.clone(),
            teacher: None,
        }
    }
}
