//! How often each token is chosen to be predicted, by how often it was predicted right (AMLM; Edman
//! and Fraser 2025, `train_mask.py`, `update_mask_weights`).
//!
//! Where we differ: a step's batch is made some steps ahead, so weights are used one period after
//! the authors would use them, in every run alike; they are shares of the rate and not rates.

use std::sync::Arc;

use checkpoint::{HostTensor, Weights};
use objective::{TokenOutcomes, TokenWeighting};

/// Share of the old weight in a new one.
const KEPT: f64 = 0.2;
/// The names of what is kept in a checkpoint.
const NAMES: [&str; 4] =
    ["token_weights.current", "token_weights.next", "token_weights.hits", "token_weights.counts"];

/// The weights of two periods of steps, and the outcomes of the period that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenWeights {
    weighting: TokenWeighting,
    /// The period that runs, counted from 0.
    period: u64,
    /// Of the period that runs, on average 1, `[vocabulary]`.
    current: Arc<[f32]>,
    /// Of the period after it.
    next: Arc<[f32]>,
    /// How often each token was predicted right in the period that runs.
    hits: Vec<f32>,
    /// How often it was to be predicted.
    counts: Vec<f32>,
}

impl TokenWeights {
    /// Equal weights for `vocabulary` tokens.
    pub fn new(weighting: TokenWeighting, vocabulary: usize) -> Self {
        let equal: Arc<[f32]> = vec![1.0; vocabulary].into();
        Self {
            weighting,
            period: 0,
            current: equal.clone(),
            next: equal,
            hits: vec![0.0; vocabulary],
            counts: vec![0.0; vocabulary],
        }
    }

    /// The weights of the step after `done` steps, which is of the period that runs or the next.
    pub fn of_step(&self, done: u64) -> Arc<[f32]> {
        let weights =
            if done / self.weighting.every == self.period { &self.current } else { &self.next };
        weights.clone()
    }

    /// Counts the outcomes of a step, the last of `done`, and ends the period with its last step.
    /// Reads the outcomes back from the device.
    pub fn follow(&mut self, outcomes: Vec<TokenOutcomes>, done: u64) {
        for TokenOutcomes { labels, hits } in outcomes {
            let hits = hits.into_data();
            for (label, hit) in labels.iter().zip(hits.iter::<f32>()) {
                self.hits[*label as usize] += hit;
                self.counts[*label as usize] += 1.0;
            }
        }

        if done.is_multiple_of(self.weighting.every) {
            self.period = done / self.weighting.every;
            self.current = self.next.clone();
            self.next = self.updated().into();
            self.hits.fill(0.0);
            self.counts.fill(0.0);
        }
    }

    /// The weights after the outcomes of a period: a token that was not seen counts as predicted
    /// right half of the time.
    fn updated(&self) -> Vec<f32> {
        let of_token = |i: usize| {
            let right = (f64::from(self.hits[i]) + 0.5) / (f64::from(self.counts[i]) + 1.0);
            let weight = KEPT * f64::from(self.next[i]) + (1.0 - KEPT) * (1.0 - right);
            weight.max(self.weighting.floor)
        };
        let weights: Vec<f64> = (0..self.next.len()).map(of_token).collect();
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        weights.iter().map(|weight| (weight / mean) as f32).collect()
    }

    /// What [`TokenWeights::restore`] takes.
    pub fn state(&self) -> Weights {
        let parts = [&*self.current, &*self.next, &self.hits, &self.counts];
        let tensor = |(name, values): (&str, &[f32])| {
            (name.to_owned(), HostTensor { shape: vec![values.len()], values: values.to_vec() })
        };
        NAMES.into_iter().zip(parts).map(tensor).collect()
    }

    /// Takes over what a checkpoint after `done` steps has; a checkpoint of a run without weights
    /// changes nothing.
    pub fn restore(&mut self, kept: &Weights, done: u64) {
        let part = |name: &str| {
            let found = kept.get(name).map(|tensor| tensor.values.clone());
            found.filter(|values| values.len() == self.counts.len())
        };
        if let [Some(current), Some(next), Some(hits), Some(counts)] = NAMES.map(part) {
            (self.current, self.next) = (current.into(), next.into());
            (self.hits, self.counts) = (hits, counts);
            self.period = done / self.weighting.every;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};

    const WEIGHTING: TokenWeighting = TokenWeighting { every: 2, floor: 0.05 };

    fn outcomes(labels: &[u32], hits: &[f32]) -> Vec<TokenOutcomes> {
        let hits = Tensor::from_floats(hits, &Device::flex());
        vec![TokenOutcomes { labels: labels.to_vec(), hits }]
    }

    #[test]
    fn weights_are_those_of_the_authors_one_period_later() {
        let mut weights = TokenWeights::new(WEIGHTING, 3);
        weights.follow(outcomes(&[0, 0, 1], &[1.0, 1.0, 0.0]), 1);
        weights.follow(outcomes(&[0, 1], &[1.0, 0.0]), 2);
        // Token 0 was right 3 times of 3, token 1 never of 2, token 2 was not there.
        let right = [3.5 / 4.0, 0.5 / 3.0, 0.5];
        let raw = right.map(|right| 0.2 + 0.8 * (1.0 - right));
        let mean = raw.iter().sum::<f64>() / 3.0;
        let want = raw.map(|weight| (weight / mean) as f32);

        assert_eq!(&*weights.of_step(2), [1.0; 3], "the period that runs");
        assert_eq!(&*weights.of_step(4), want);
        assert_eq!(&*weights.of_step(3), [1.0; 3]);

        weights.follow(outcomes(&[], &[]), 3);
        weights.follow(outcomes(&[], &[]), 4);
        assert_eq!(&*weights.of_step(4), want);
        assert_eq!(&*weights.of_step(5), want);
    }

    #[test]
    fn what_is_always_right_keeps_the_least_weight() {
        let weighting = TokenWeighting { every: 1, floor: 0.1 };
        let mut weights = TokenWeights::new(weighting, 2);
        for done in 1..60 {
            weights.follow(outcomes(&[0; 50], &[1.0; 50]), done);
        }
        // Token 1 has half of the hits, as it is not seen: w = 0.2 w / mean + 0.4.
        let [easy, unseen] = [0, 1].map(|i| weights.of_step(60)[i]);
        assert!((easy + unseen - 2.0).abs() < 1e-5);
        assert!(easy > 0.05 && easy < 0.6, "{easy}");
    }

    #[test]
    fn a_checkpoint_holds_all_of_it() {
        let mut weights = TokenWeights::new(WEIGHTING, 3);
        for done in 1..8 {
            weights.follow(outcomes(&[0, 1, (done % 3) as u32], &[1.0, 0.0, 1.0]), done);
        }
        let mut other = TokenWeights::new(WEIGHTING, 3);
        other.restore(&weights.state(), 7);
        assert_eq!(other, weights);

        let mut fresh = TokenWeights::new(WEIGHTING, 3);
        fresh.restore(&Weights::new(), 7);
        assert_eq!(fresh, TokenWeights::new(WEIGHTING, 3));
    }
}
