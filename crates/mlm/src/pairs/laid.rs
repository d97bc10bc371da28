//! The sequences that pairs become.

use corpus::Specials;
use objective::{Example, Purpose};

use super::pairing::{Answer, Pair, Pairing};
use crate::layout::Laid;

/// Sequences of pairs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaidPairs<'e> {
    /// The sequences.
    pub laid: Vec<Laid>,
    /// The example that each sequence is of.
    pub owners: Vec<&'e Example>,
    /// Sequences that are asked about, in ascending order.
    pub rows: Vec<u32>,
    /// The right answer for each sequence of `rows`.
    pub pair_labels: Vec<u32>,
}

impl<'e> LaidPairs<'e> {
    fn push(&mut self, pair: &Pair, owner: &'e Example, specials: &Specials) {
        if let Some(label) = pair.label {
            self.rows.push(self.laid.len() as u32);
            self.pair_labels.push(label);
        }

        self.laid.push(Laid::pair(&pair.first, pair.second.as_ref(), specials));
        self.owners.push(owner);
    }
}

impl Pairing {
    /// The sequences that `examples` become. In training one each. In evaluation one for each
    /// answer, so that chance is exactly 1/2; where both would be answered alike, one that is not
    /// asked about.
    pub fn lay<'e>(
        &self,
        examples: &'e [Example],
        purpose: Purpose,
        specials: &Specials,
    ) -> LaidPairs<'e> {
        let mut made = LaidPairs::default();
        for example in examples {
            for pair in self.pairs(example, purpose) {
                made.push(&pair, example, specials);
            }
        }
        made
    }

    /// The pairs that `example` becomes, see [`Pairing::lay`].
    fn pairs(&self, example: &Example, purpose: Purpose) -> Vec<Pair> {
        let pair = |answer| self.pair(example, answer, &mut example.rng("pair"));
        match purpose {
            Purpose::Training => vec![pair(Answer::Drawn)],
            Purpose::Evaluation => {
                let (right, wrong) = (pair(Answer::Fixed(0)), pair(Answer::Fixed(1)));
                if right.label == wrong.label {
                    vec![Pair { label: None, ..right }]
                } else {
                    vec![right, wrong]
                }
            }
        }
    }
}
