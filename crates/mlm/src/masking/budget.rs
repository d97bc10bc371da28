//! How many positions are chosen.

use rand_chacha::ChaCha8Rng;

use super::draw::uniform;
use super::knobs::Budget;

/// How many to choose of `eligible` positions in a sequence of `all`. Draws a number for the
/// probabilistic budget only.
pub fn count(
    budget: Budget,
    rate: f64,
    all: usize,
    eligible: usize,
    rng: &mut ChaCha8Rng,
) -> usize {
    match budget {
        Budget::HalfEven => (rate * all as f64).round_ties_even().max(1.0) as usize,
        Budget::Ceiling => ceiling(rate, eligible),
        Budget::Probabilistic => (rate * all as f64 + uniform(rng)).floor() as usize,
        Budget::Bernoulli => eligible,
    }
}

/// max(1, rate * n rounded up), where a product that is an integer but for the last bits of `rate`
/// counts as one.
pub fn ceiling(rate: f64, n: usize) -> usize {
    (rate * n as f64 - 1e-9).ceil().max(1.0) as usize
}
