//! What stands at a chosen position: the mask token, a random token, or the original.

use rand_chacha::ChaCha8Rng;

use super::config::Masking;
use super::draw::{Cumulative, below, uniform};
use super::knobs::{DrawPer, RandomTokens};
use super::vocabulary::Vocabulary;

/// What stands at a chosen position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// The mask token.
    Mask,
    /// A random token, which may be the original by chance.
    Random,
    /// The original.
    Keep,
}

/// `<s>`, `<pad>`, `</s>` and `<unk>`.
const FAIRSEQ_SPECIALS: usize = 4;

/// A token to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its position in the sequence, special tokens counted.
    pub position: u32,
    /// The original token.
    pub label: u32,
    /// What stands there.
    pub replacement: Replacement,
}

/// Draws replacements.
#[derive(Clone, Debug)]
pub struct Replacer {
    mask: f64,
    random: f64,
    per: DrawPer,
    mask_token: u32,
    pool: Pool,
}

#[derive(Clone, Debug)]
enum Pool {
    /// Every id from the first to before the second.
    Between(usize, usize),
    /// These ids.
    Listed(Vec<u32>),
    /// Ids by their counts.
    Counted(Cumulative),
}

impl Replacer {
    /// For knobs that were validated with the vocabulary.
    pub fn new(masking: &Masking, vocabulary: &Vocabulary) -> Self {
        let size = vocabulary.size;
        let content = |id: &u32| vocabulary.specials.binary_search(id).is_err();
        let pool = match masking.random_tokens {
            RandomTokens::Vocabulary => Pool::Between(0, size),
            RandomTokens::AfterSpecials => Pool::Between(FAIRSEQ_SPECIALS, size),
            RandomTokens::Content => Pool::Listed((0..size as u32).filter(content).collect()),
            RandomTokens::Unigram => {
                Pool::Counted(Cumulative::new(vocabulary.counts.iter().map(|c| *c as f64)))
            }
        };

        let Masking { mask, random, draw_per, .. } = *masking;
        Self { mask, random, per: draw_per, mask_token: vocabulary.mask, pool }
    }

    /// Replaces the tokens at `units`, groups of ascending positions that share one draw if that is
    /// asked for. Returns the targets by position.
    ///
    /// The draws come in fairseq's order: for each group whether it leaves the mask token, then for
    /// each whether it is random or kept in that case (drawn for all, so that one group's outcome
    /// does not move the others'), then the random tokens. Groups go by their first position.
    pub fn replace(
        &self,
        tokens: &mut [u32],
        units: &[Vec<u32>],
        rng: &mut ChaCha8Rng,
    ) -> Vec<Target> {
        let mut groups: Vec<Vec<u32>> = match self.per {
            DrawPer::Unit => units.to_vec(),
            DrawPer::Token => units.iter().flatten().map(|position| vec![*position]).collect(),
        };
        groups.sort();
        let replacements = self.draw(groups.len(), rng);

        // A position that was drawn twice asks for its original both times, and a mask token there
        // stays.
        let original = tokens.to_vec();
        let mut targets = Vec::new();
        for (group, replacement) in groups.into_iter().zip(replacements) {
            for position in group {
                let token = &mut tokens[position as usize];
                let label = original[position as usize];
                match replacement {
                    Replacement::Mask => *token = self.mask_token,
                    Replacement::Random => *token = self.random_token(rng),
                    Replacement::Keep => {}
                }
                targets.push(Target { position, label, replacement });
            }
        }

        targets.sort_by_key(|target| target.position);
        targets
    }

    /// What stands in each of `count` groups.
    fn draw(&self, count: usize, rng: &mut ChaCha8Rng) -> Vec<Replacement> {
        let rest = 1.0 - self.mask;
        let leave: Vec<bool> = (0..count).map(|_| uniform(rng) < rest).collect();
        let random: Vec<bool> = (0..count).map(|_| uniform(rng) * rest < self.random).collect();

        let replacement = |(leaves, random): (bool, bool)| {
            if !leaves {
                Replacement::Mask
            } else if random {
                Replacement::Random
            } else {
                Replacement::Keep
            }
        };
        leave.into_iter().zip(random).map(replacement).collect()
    }

    fn random_token(&self, rng: &mut ChaCha8Rng) -> u32 {
        match &self.pool {
            Pool::Between(first, end) => (first + below(end - first, rng)) as u32,
            Pool::Listed(ids) => ids[below(ids.len(), rng)],
            Pool::Counted(counts) => counts.draw(rng) as u32,
        }
    }
}
