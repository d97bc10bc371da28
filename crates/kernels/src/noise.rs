//! Randomness of a forward pass, by counting instead of by state.

/// The source of the dropout masks of one forward pass.
///
/// Each sequence of the batch brings its own key. A mask element is a function of (key of its
/// sequence, number of the dropout call within the pass, coordinates within the sequence) and
/// nothing else: not of the other sequences in the batch, not of the padding, the backend or the
/// number of threads. Hence four micro-batches of eight sequences draw exactly the masks that one
/// batch of thirty-two would.
#[derive(Clone, Debug)]
pub struct Noise {
    keys: Vec<u64>,
    site: u64,
}

impl Noise {
    /// Noise for a batch whose sequences have these keys.
    pub fn new(keys: Vec<u64>) -> Self {
        Self { keys, site: 0 }
    }

    /// Number of sequences.
    pub fn sequences(&self) -> usize {
        self.keys.len()
    }

    /// Noise for the same batch that has nothing to do with this.
    pub fn beside(&self) -> Self {
        Self::new(self.keys.iter().map(|key| mix64(!key)).collect())
    }

    /// The keys of the next dropout call, one a sequence.
    pub(crate) fn next_site(&mut self) -> Vec<u64> {
        self.site += 1;
        let site = mix64(self.site);
        self.keys.iter().map(|key| mix64(key ^ site)).collect()
    }
}

/// Steele, Lea and Flood's finaliser of SplitMix64: a bijection that mixes all 64 bits.
fn mix64(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// 32 uniform bits for the element `index` under `key`: two rounds of a multiply-xorshift hash, one
/// with each half of the key. Written on 32-bit lanes so that the compiler vectorises the loop
/// around it.
#[inline(always)]
pub(crate) fn draw(key: u64, index: u32) -> u32 {
    #[inline(always)]
    fn round(mut x: u32) -> u32 {
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846c_a68b);
        x ^ (x >> 16)
    }
    let first = round(index.wrapping_add(key as u32));
    round(first ^ (key >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_depend_on_key_and_index() {
        let mut ones = 0u32;
        for key in 0..64u64 {
            for index in 0..1024 {
                ones += draw(mix64(key), index).count_ones();
            }
        }
        let share = f64::from(ones) / (64.0 * 1024.0 * 32.0);
        // Standard deviation of the share: 0.5 / sqrt(2_097_152) = 3.5e-4.
        assert!((share - 0.5).abs() < 5.0 * 3.5e-4, "{share}");
        assert_ne!(draw(mix64(1), 7), draw(mix64(2), 7));
        assert_ne!(draw(mix64(1), 7), draw(mix64(1), 8));
    }

    #[test]
    fn every_call_of_a_pass_has_keys_of_its_own() {
        let mut noise = Noise::new(vec![1, 2]);
        let (first, second) = (noise.next_site(), noise.next_site());
        assert_ne!(first, second);
        assert_eq!(Noise::new(vec![1, 2]).next_site(), first);
        assert_eq!(
            Noise::new(vec![2]).next_site(),
            first[1..],
            "a row's key does not depend on other rows"
        );
    }
}
