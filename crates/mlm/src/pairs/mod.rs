//! Pairs of segments as BERT and ALBERT build them (`create_pretraining_data.py`), for objectives
//! with a question about the pair.

mod laid;
mod pairing;
mod sentences;

#[cfg(test)]
mod tests;

pub use laid::LaidPairs;
pub use pairing::{PairLabels, Pairing};
