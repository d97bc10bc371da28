//! Chosen positions, and what is written there.

use corpus::below;
use mlm::{DocumentEdges, Laid, Maskers, MlmBatch};
use objective::{Context, Example, Purpose};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use trunk::{EncoderInput, Sequences, union};

use crate::config::{GeneratorKind, RtdConfig};

/// A batch: what the generator sees, and what decides its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct RtdBatch {
    /// The masked sequences, which the generator sees, and the positions where it writes.
    pub mlm: MlmBatch,
    /// What determines the sample at each of the positions.
    pub keys: Vec<u64>,
    /// The samples themselves, where no model draws them.
    pub drawn: Vec<u32>,
}

/// The sequences with the samples written in, and what was replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Corrupted {
    /// What the encoder sees.
    pub sequences: Sequences,
    /// The positions where samples were written, once each.
    pub positions: Vec<u32>,
    /// Whether the token there is another than the original.
    pub replaced: Vec<bool>,
    /// The original token there.
    pub originals: Vec<u32>,
}

/// Masks passages and draws the keys of the samples.
pub fn collate(
    examples: &[Example],
    purpose: Purpose,
    maskers: &Maskers,
    config: &RtdConfig,
    context: &Context,
) -> RtdBatch {
    let lay = |example: &Example| {
        Laid::passage(&example.passage, &context.specials, DocumentEdges::default())
    };
    let laid: Vec<Laid> = examples.iter().map(lay).collect();
    let mlm = maskers.batch(&laid, &examples.iter().collect::<Vec<_>>(), purpose);

    let len = mlm.sequences.len;
    let mut rngs: Vec<_> = examples.iter().map(|example| example.rng("sample")).collect();
    let keys: Vec<u64> =
        mlm.positions.iter().map(|flat| rngs[*flat as usize / len].next_u64()).collect();

    let drawn = draw_samples(&mlm, &mut rngs, maskers, config, context);
    RtdBatch { mlm, keys, drawn }
}

/// The samples of a generator that is no model, each with the generator of its row.
fn draw_samples(
    mlm: &MlmBatch,
    rngs: &mut [ChaCha8Rng],
    maskers: &Maskers,
    config: &RtdConfig,
    context: &Context,
) -> Vec<u32> {
    let len = mlm.sequences.len;
    let flats = mlm.positions.iter().map(|flat| *flat as usize);

    match config.generator.kind {
        GeneratorKind::Model => Vec::new(),
        GeneratorKind::Unigram => {
            flats.map(|flat| maskers.frequent(&mut rngs[flat / len])).collect()
        }
        GeneratorKind::Uniform => {
            let drawable =
                |id: &u32| config.compat || context.special_ids.binary_search(id).is_err();
            let ids: Vec<u32> = (0..context.vocabulary as u32).filter(drawable).collect();
            flats.map(|flat| ids[below(ids.len(), &mut rngs[flat / len])]).collect()
        }
    }
}

impl RtdBatch {
    /// Writes `samples`, one for each of the positions. Where a position has several, their ids are
    /// averaged and rounded down, as the authors' `scatter_update` does.
    pub fn corrupt(&self, samples: &[u32]) -> Corrupted {
        let original = self.mlm.unmasked();
        let mut sequences = original.clone();
        let positions = union(&[&self.mlm.positions]);

        for flat in &positions {
            let first = self.mlm.positions.partition_point(|other| other < flat);
            let end = self.mlm.positions.partition_point(|other| other <= flat);
            let sum: u64 = samples[first..end].iter().map(|id| u64::from(*id)).sum();
            sequences.tokens[*flat as usize] = (sum / (end - first) as u64) as u32;
        }

        let at = |sequences: &Sequences| -> Vec<u32> {
            positions.iter().map(|p| sequences.tokens[*p as usize]).collect()
        };
        let originals = at(&original);
        let replaced = at(&sequences).iter().zip(&originals).map(|(new, old)| new != old).collect();
        Corrupted { sequences, positions, replaced, originals }
    }
}

impl Corrupted {
    /// For every row of `input`, which is of these sequences: whether the token was replaced, and
    /// whether it is one (and no padding).
    pub fn rows(&self, input: &EncoderInput) -> (Vec<bool>, Vec<bool>) {
        let len = self.sequences.len;
        let positions = input.rows.sequences().iter().zip(input.rows.positions());
        positions
            .map(|(row, position)| {
                let flat = *row * len as u32 + position;
                let replaced = self.positions.binary_search(&flat).is_ok_and(|i| self.replaced[i]);
                (replaced, (*position as usize) < self.sequences.lengths[*row as usize])
            })
            .unzip()
    }
}
