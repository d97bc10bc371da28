//! A masked language model as augmentation asks it.

use augment::{MaskedModel, Query};
use objective::Objective;

use crate::eval::fill::{Blank, logits};
use crate::model::Loaded;
use crate::signals;

/// Tokens of a batch of queries.
const TOKENS_AT_ONCE: usize = 4096;

/// A model as augmentation asks it.
pub struct Asked<'a, O: Objective>(pub &'a Loaded<O>);

impl<O: Objective> MaskedModel for Asked<'_, O> {
    fn best(&self, queries: &[Query], k: usize) -> augment::Result<Vec<Vec<u32>>> {
        let mut order: Vec<usize> = (0..queries.len()).collect();
        order.sort_by_key(|i| queries[*i].tokens.len());
        let longest = queries.iter().map(|query| query.tokens.len()).max().unwrap_or(1);
        let parts: Vec<&[usize]> = order.chunks((TOKENS_AT_ONCE / longest).max(1)).collect();
        let answer =
            |part: &[usize]| self.batch(&part.iter().map(|i| &queries[*i]).collect::<Vec<_>>(), k);
        let answers = self.0.workers.map(parts, answer);
        let mut best = vec![Vec::new(); queries.len()];
        for (i, answer) in
            order.iter().zip(answers.into_iter().collect::<augment::Result<Vec<_>>>()?.concat())
        {
            best[*i] = answer;
        }
        Ok(best)
    }
}

impl<O: Objective> Asked<'_, O> {
    fn batch(&self, queries: &[&Query], k: usize) -> augment::Result<Vec<Vec<u32>>> {
        signals::check().map_err(|_| augment::Error::Interrupted)?;
        let places: Vec<[u32; 1]> = queries.iter().map(|query| [query.place as u32]).collect();
        let blank = |(query, places)| {
            let Query { tokens, segments, .. }: &Query = query;
            Blank { tokens, segments, places }
        };
        let blanks: Vec<Blank<'_>> = queries
            .iter()
            .copied()
            .zip(places.iter().map(|place| place.as_slice()))
            .map(blank)
            .collect();
        let logits =
            logits(self.0, &blanks).map_err(|error| augment::Error::Data(error.to_string()))?;
        let [_, vocabulary] = logits.dims();
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        let best = |row: &[f32]| {
            let mut order: Vec<u32> = (0..row.len() as u32).collect();
            let better =
                |a: &u32, b: &u32| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b));
            order.select_nth_unstable_by(k.min(vocabulary - 1), better);
            order.truncate(k);
            order.sort_unstable_by(better);
            order
        };
        Ok(logits.chunks(vocabulary).map(best).collect())
    }
}
