//! A loaded model as the masked language model of augmentation.

use augment::{MaskedModel, Query};
use eval::Evaluable;
use eval::masked::{MaskedSequence, logits};

/// Tokens of a batch of queries.
const TOKENS_AT_ONCE: usize = 4096;

/// A loaded model as the masked language model of augmentation.
pub struct EvaluableMaskedModel<'a>(pub &'a dyn Evaluable);

impl MaskedModel for EvaluableMaskedModel<'_> {
    fn best(&self, queries: &[Query], k: usize) -> augment::Result<Vec<Vec<u32>>> {
        let mut order: Vec<usize> = (0..queries.len()).collect();
        order.sort_by_key(|i| queries[*i].tokens.len());
        let longest = queries.iter().map(|query| query.tokens.len()).max().unwrap_or(1);
        let parts: Vec<&[usize]> = order.chunks((TOKENS_AT_ONCE / longest).max(1)).collect();

        let predict = |part: &[usize]| {
            self.predict(&part.iter().map(|i| &queries[*i]).collect::<Vec<_>>(), k)
        };

        let predicted = self.0.workers().map(parts, predict);
        let predicted = predicted.into_iter().collect::<augment::Result<Vec<_>>>()?.concat();

        let mut best = vec![Vec::new(); queries.len()];
        for (i, tokens) in order.iter().zip(predicted) {
            best[*i] = tokens;
        }
        Ok(best)
    }
}

impl EvaluableMaskedModel<'_> {
    /// The `k` most probable tokens of each query of a batch.
    fn predict(&self, queries: &[&Query], k: usize) -> augment::Result<Vec<Vec<u32>>> {
        self.0.check_interrupt().map_err(|_| augment::Error::Interrupted)?;

        let positions: Vec<[u32; 1]> =
            queries.iter().map(|query| [query.position as u32]).collect();
        let masked: Vec<MaskedSequence<'_>> = queries
            .iter()
            .zip(&positions)
            .map(|(Query { tokens, segments, .. }, positions)| MaskedSequence {
                tokens,
                segments,
                positions,
            })
            .collect();
        let logits =
            logits(self.0, &masked).map_err(|error| augment::Error::Data(error.to_string()))?;

        let [_, vocabulary] = logits.dims();
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        Ok(logits.chunks(vocabulary).map(|row| best_of(row, k)).collect())
    }
}

/// The `k` tokens with the largest logits, the largest first, of equal ones the first.
fn best_of(logits: &[f32], k: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let better =
        |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    order.select_nth_unstable_by(k.min(logits.len() - 1), better);
    order.truncate(k);
    order.sort_unstable_by(better);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_logits_come_first_and_of_equal_ones_the_first_token() {
        assert_eq!(best_of(&[0.5, 2.0, 0.5, 1.0], 3), [1, 3, 0]);
        assert_eq!(best_of(&[1.0, 1.0], 5), [0, 1]);
    }
}
