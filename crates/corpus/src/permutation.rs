//! The order of passages in an epoch, without a table.

/// A permutation of 0..len for every epoch, keyed by a seed.
///
/// A Feistel network of eight rounds permutes the smallest even number of bits that holds `len`;
/// results outside 0..len are permuted again until they fall inside ("cycle walking", Black and
/// Rogaway 2002), which takes fewer than four rounds on average. The passage at any position of any
/// epoch is thus found in constant time, and resuming replays nothing.
#[derive(Clone, Copy, Debug)]
pub struct Permutation {
    len: u64,
    half: u32,
    seed: u64,
}

impl Permutation {
    /// The permutations of 0..`len` under `seed`.
    ///
    /// # Panics
    /// When `len` is 0.
    pub fn new(len: u64, seed: u64) -> Self {
        assert!(len > 0, "an order is of at least one thing");
        let bits = 64 - (len - 1).leading_zeros();
        Self { len, half: bits.div_ceil(2).max(1), seed }
    }

    /// The element at `position` in `epoch`.
    ///
    /// # Panics
    /// When `position` is not below the length.
    pub fn at(&self, epoch: u64, position: u64) -> u64 {
        assert!(position < self.len, "a position in the order");

        let mut x = self.permute(epoch, position);
        while x >= self.len {
            x = self.permute(epoch, x);
        }
        x
    }

    fn permute(&self, epoch: u64, x: u64) -> u64 {
        let mask = (1u64 << self.half) - 1;
        let key = mix(self.seed ^ mix(epoch));
        let (mut left, mut right) = (x >> self.half, x & mask);

        for round in 0..8u64 {
            (left, right) = (right, left ^ (mix(key ^ mix(right ^ (round << 60))) & mask));
        }
        left << self.half | right
    }
}

/// The finaliser of SplitMix64.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_everything_once() {
        for len in [1, 2, 3, 4, 5, 17, 64, 1000, 4097] {
            for epoch in 0..3 {
                let order = Permutation::new(len, 7);
                let mut seen: Vec<u64> = (0..len).map(|i| order.at(epoch, i)).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..len).collect::<Vec<_>>(), "length {len}, epoch {epoch}");
            }
        }
    }

    #[test]
    fn epochs_and_seeds_have_orders_of_their_own() {
        let order = |seed, epoch| {
            (0..100).map(|i| Permutation::new(100, seed).at(epoch, i)).collect::<Vec<_>>()
        };
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
    }

    #[test]
    fn a_position_is_filled_evenly_over_epochs() {
        let (len, epochs) = (10u64, 20_000u64);
        let mut counts = vec![0f64; len as usize];
        for epoch in 0..epochs {
            counts[Permutation::new(len, 3).at(epoch, 0) as usize] += 1.0;
        }

        let expected = epochs as f64 / len as f64;
        let chi: f64 = counts.iter().map(|c| (c - expected).powi(2) / expected).sum();
        // Nine degrees of freedom: 27.9 is exceeded once in a thousand.
        assert!(chi < 27.9, "{chi} {counts:?}");
    }
}
