//! Text to tokens to memory-mapped passages.
//!
//! [`Text`] finds files of plain text, JSON lines and Parquet, compressed or not, and reads their
//! documents paragraph by paragraph. A [`Tokenizer`] is opened or trained. A [`Builder`] tokenises
//! the text on all cores in bounded memory into a [`Corpus`]: shards of token ids with the
//! positions where words, sentences and documents start, cached under the content hashes of text
//! and tokenizer. Spans annotated by the user are carried along ([`Annotations`]). [`Passages`]
//! packs whole sentences up to a length, as RoBERTa's DOC-SENTENCES or FULL-SENTENCES (Liu et al.
//! 2019, section 4.2), and [`Permutation`] shuffles the passages for every epoch. Both look up the
//! N-th passage in constant time, so resuming a run replays nothing.
//!
//! [`Ngrams`] are the n-grams of words whose parts belong together (PMI-Masking, Levine et al. 2021).
//!
//! The crate depends neither on objectives nor on tensors.
//!
//! ```
//! let paragraph = "Dr. Who came. He left.";
//! let sentences = corpus::sentences(paragraph);
//! let sentences: Vec<&str> = sentences.into_iter().map(|range| &paragraph[range]).collect();
//! assert_eq!(sentences, ["Dr. Who came.", "He left."]);
//!
//! // Seven passages in an order of their own for each epoch; any of them is found at once.
//! let order = corpus::Permutation::new(7, 1);
//! let mut epoch: Vec<u64> = (0..7).map(|i| order.at(2, i)).collect();
//! epoch.sort_unstable();
//! assert_eq!(epoch, [0, 1, 2, 3, 4, 5, 6]);
//! ```

mod annotations;
mod builder;
mod compression;
mod content_hash;
#[allow(clippy::module_inception, reason = "the type that the crate is named after")]
mod corpus;
mod delimited;
mod duplicates;
mod error;
mod format;
mod json_record;
mod lines;
mod manifest;
mod ngrams;
mod observer;
mod packing;
mod passages;
mod permutation;
mod random;
mod reader;
mod sentences;
mod shards;
mod spans;
mod table;
mod text;
mod tokenizer;

pub use annotations::Annotations;
pub use builder::Builder;
pub use compression::Compression;
pub use corpus::{Corpus, Statistics, unigram_cross_entropy};
pub use error::{Error, Result};
pub use format::FileFormat;
pub use manifest::{Counts, Manifest};
pub use ngrams::{Ngram, NgramConfig, Ngrams};
pub use observer::{ProgressObserver, Quiet};
pub use packing::{Across, PackingConfig};
pub use passages::{Passage, Passages, Subset};
pub use permutation::Permutation;
pub use random::{below, keyed_rng, uniform};
pub use reader::{Documents, Event};
pub use sentences::sentences;
pub use shards::FileEntry;
pub use text::{DocumentBoundary, Text, TextConfig, TextFile};
pub use tokenizer::{Encoded, Specials, Tokenizer, TokenizerModel, TrainConfig};
