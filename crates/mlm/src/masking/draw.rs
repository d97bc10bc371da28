//! Random draws.

pub use corpus::{below, uniform};
use rand_chacha::ChaCha8Rng;

/// Puts the first `count` positions in random order, each drawn from all that are left (Fisher and
/// Yates).
pub fn shuffle<T>(items: &mut [T], count: usize, rng: &mut ChaCha8Rng) {
    for i in 0..count.min(items.len()) {
        let other = i + below(items.len() - i, rng);
        items.swap(i, other);
    }
}

/// A distribution over 0..n by its cumulative weights: a draw takes a number and a binary search.
#[derive(Clone, Debug)]
pub struct Cumulative(Vec<f64>);

impl Cumulative {
    /// At least one weight, none negative, not all zero.
    pub fn new(weights: impl Iterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let add = |weight: f64| {
            sum += weight;
            sum
        };
        Self(weights.map(add).collect())
    }

    /// i with probability weight i / sum of weights.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> usize {
        self.draw_first(self.0.len(), rng)
    }

    /// A draw from the first `n` (at least 1), renormalised.
    pub fn draw_first(&self, n: usize, rng: &mut ChaCha8Rng) -> usize {
        let n = n.min(self.0.len());
        let point = uniform(rng) * self.0[n - 1];
        self.0[..n].partition_point(|sum| *sum <= point).min(n - 1)
    }

    #[cfg(test)]
    pub fn probabilities(&self) -> Vec<f64> {
        let sum = self.0[self.0.len() - 1];
        let before = [0.0].into_iter().chain(self.0.iter().copied());
        self.0.iter().zip(before).map(|(after, before)| (after - before) / sum).collect()
    }
}

/// ALBERT's lengths of n-grams: p(n) proportional to 1/n for n = 1..=max.
pub fn ngram_lengths(max: usize) -> Cumulative {
    Cumulative::new((1..=max).map(|n| 1.0 / n as f64))
}

/// SpanBERT's lengths of spans: p(l) proportional to p (1 - p)^(l - 1) for l = 1..=max.
pub fn span_lengths(max: usize, p: f64) -> Cumulative {
    Cumulative::new((0..max).map(|l| p * (1.0 - p).powi(l as i32)))
}
