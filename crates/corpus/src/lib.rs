//! Text to tokens to memory-mapped passages.
//!
//! [`Text`] finds files of plain text, JSON lines and Parquet, compressed or not, and reads their
//! documents paragraph by paragraph. A [`Tokenizer`] is opened or trained. A [`Builder`] tokenises
//! the text on all cores in bounded memory into a [`Corpus`]: shards of token ids with the positions
//! where words, sentences and documents start, found again by the content hashes of text and
//! tokenizer. Spans that the user annotated come along ([`Annotations`]). [`Passages`] packs whole
//! sentences up to a length, as RoBERTa's DOC-SENTENCES or FULL-SENTENCES (Liu et al. 2019, section
//! 4.2), and [`Permutation`] shuffles them for every epoch; both find number N in constant time, so
//! nothing is replayed to resume.
//!
//! Knows nothing of objectives and nothing of tensors.

mod annotations;
mod builder;
mod content_hash;
#[allow(clippy::module_inception, reason = "the type after which the crate is called")]
mod corpus;
mod duplicates;
mod error;
mod lines;
mod manifest;
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
pub use corpus::{Corpus, Statistics, unigram_cross_entropy};
pub use error::{Error, Result};
pub use manifest::{Counts, Manifest};
pub use observer::{ProgressObserver, Quiet};
pub use packing::{Across, PackingConfig};
pub use passages::{Passage, Passages, Subset};
pub use permutation::Permutation;
pub use random::{below, keyed_rng, uniform};
pub use reader::{Documents, Event};
pub use sentences::sentences;
pub use shards::FileEntry;
pub use text::{Compression, DocumentBoundary, FileFormat, Text, TextConfig, TextFile};
pub use tokenizer::{Encoded, Specials, Tokenizer, TokenizerModel, TrainConfig};
