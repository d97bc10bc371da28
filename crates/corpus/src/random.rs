//! Random numbers by key instead of by state, and draws from the generator's bits alone, so that
//! they stay the same whatever library versions do.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator that belongs to (purpose, seed, a, b), such as ("mask", seed of the run, epoch,
/// passage). ChaCha, because its stream is the same on every platform and in every version.
pub fn keyed_rng(purpose: &str, seed: u64, a: u64, b: u64) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new();
    for number in [seed, a, b] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

/// A number in [0, 1) with 53 random bits.
pub fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A number below `n` (at least 1), without bias (Lemire 2019).
pub fn below(n: usize, rng: &mut ChaCha8Rng) -> usize {
    let n = n as u64;
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(n);
        if product as u64 >= n.wrapping_neg() % n {
            return (product >> 64) as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_the_key_matters() {
        let draw = |purpose, seed, a, b| keyed_rng(purpose, seed, a, b).next_u64();
        let first = draw("mask", 1, 2, 3);
        assert_eq!(first, draw("mask", 1, 2, 3));
        for other in [
            draw("drop", 1, 2, 3),
            draw("mask", 9, 2, 3),
            draw("mask", 1, 9, 3),
            draw("mask", 1, 2, 9),
        ] {
            assert_ne!(first, other);
        }
    }
}
