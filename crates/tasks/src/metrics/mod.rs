//! Metrics of predictions: those of GLUE (Wang et al. 2019) and SQuAD (Rajpurkar et al. 2016,
//! 2018).

mod classes;
mod normal;
mod scores;
mod squad;
mod threshold;

pub use classes::{ClassMetric, accuracy, f1, macro_f1, matthews};
pub use normal::normalize;
pub use scores::{ScoreMetric, pearson, spearman};
pub use squad::{Rules, Share, SquadScores, exact_match, squad, word_f1};
pub use threshold::{Best, BestThresholds, best_thresholds};
