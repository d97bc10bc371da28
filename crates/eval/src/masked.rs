//! Masked tokens for every masked language model to predict, whatever it was trained on.

use burn::tensor::Tensor;
use finetune::largest;
use objective::{Example, Objective, Shown};
use serde_json::json;
use trunk::{EncoderConfig, Predicted, Sequences, encoder_flops, head_flops};

use crate::error::{Error, Result};
use crate::evaluable::{Evaluable, shown};
use crate::measured::{MeasuredModel, ModelPredictions};

/// A sequence and its positions to be predicted.
#[derive(Clone, Copy, Debug)]
pub struct MaskedSequence<'a> {
    /// Its tokens, special ones included.
    pub tokens: &'a [u32],
    /// The segment of each token; empty where all are 0.
    pub segments: &'a [u32],
    /// The positions to be predicted, ascending.
    pub positions: &'a [u32],
}

/// The logits `[positions, vocabulary]` at the positions of all `masked` sequences in turn.
///
/// # Errors
/// When the model is no masked language model.
pub fn logits(model: &dyn Evaluable, masked: &[MaskedSequence<'_>]) -> Result<Tensor<2>> {
    Ok(predict(model, masked).ok_or_else(|| no_masked_lm(model))?.logits())
}

/// The batch of `masked` sequences as the model takes it.
fn sequences(model: &dyn Evaluable, masked: &[MaskedSequence<'_>]) -> Sequences {
    let tokens: Vec<&[u32]> = masked.iter().map(|masked| masked.tokens).collect();
    let sequences = Sequences::pad(&tokens, model.tokenizer().specials().pad);
    let has_segments = masked.iter().any(|masked| masked.segments.contains(&1));
    if model.encoder().segments < 2 || !has_segments {
        return sequences;
    }
    sequences.with_segments(&masked.iter().map(|masked| masked.segments).collect::<Vec<_>>())
}

/// What predicts the tokens at the positions of all `masked` sequences in turn; none where the
/// model is no masked language model.
pub(crate) fn predict<'m>(
    model: &'m dyn Evaluable,
    masked: &[MaskedSequence<'_>],
) -> Option<Predicted<'m>> {
    let sequences = sequences(model, masked);
    let mut positions = Vec::new();
    for (row, masked) in masked.iter().enumerate() {
        let start = (row * sequences.len) as u32;
        positions.extend(masked.positions.iter().map(|position| start + position));
    }

    model.predict(&sequences, &positions)
}

fn no_masked_lm(model: &dyn Evaluable) -> Error {
    let name = model.objective_name();
    Error::Data(format!("a model of the objective `{name}` predicts no masked tokens"))
}

/// Sequences with masked tokens and the originals.
#[derive(Clone, Debug, Default)]
pub struct MaskedSet {
    rows: Vec<MaskedRow>,
}

#[derive(Clone, Debug)]
struct MaskedRow {
    tokens: Vec<u32>,
    segments: Vec<u32>,
    positions: Vec<u32>,
    labels: Vec<u32>,
}

impl MaskedRow {
    fn new(shown: &[Shown]) -> Self {
        let targets = (0u32..).zip(shown).filter_map(|(i, shown)| Some((i, shown.label?)));
        let (positions, labels) = targets.unzip();
        Self {
            tokens: shown.iter().map(|shown| shown.token).collect(),
            segments: shown.iter().map(|shown| shown.segment).collect(),
            positions,
            labels,
        }
    }

    fn sequence(&self) -> MaskedSequence<'_> {
        let Self { tokens, segments, positions, .. } = self;
        MaskedSequence { tokens, segments, positions }
    }

    /// The tokens in the input at the masked positions, and the originals.
    fn targets(&self) -> impl Iterator<Item = (u32, u32)> {
        let inputs = self.positions.iter().map(|position| self.tokens[*position as usize]);
        inputs.zip(self.labels.iter().copied())
    }
}

/// The sum of the losses of some targets, and the most probable token of each.
struct TargetPredictions {
    loss: f64,
    best: Vec<u32>,
}

impl MaskedSet {
    /// The evaluation masks of `objective` on `examples`.
    pub fn new(objective: &impl Objective, examples: &[Example]) -> Self {
        let sequences = examples.iter().flat_map(|example| shown(objective, example));
        Self::of_shown(sequences)
    }

    /// The evaluation masks of `model` on `examples`.
    pub fn of_model(model: &dyn Evaluable, examples: &[Example]) -> Self {
        Self::of_shown(examples.iter().flat_map(|example| model.shown(example)))
    }

    fn of_shown(sequences: impl Iterator<Item = Vec<Shown>>) -> Self {
        let rows = sequences.map(|shown| MaskedRow::new(&shown));
        Self { rows: rows.filter(|row| !row.positions.is_empty()).collect() }
    }

    /// The model's predictions for all rows, `batch` of similar length at a time.
    fn predict_all(
        &self,
        model: &dyn Evaluable,
        batch: usize,
    ) -> Result<Vec<(Vec<usize>, TargetPredictions)>> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|i| self.rows[*i].tokens.len());

        let predict = |part: &[usize]| {
            model.check_interrupt()?;
            let rows: Vec<&MaskedRow> = part.iter().map(|i| &self.rows[*i]).collect();
            Ok((part.to_vec(), predict_rows(model, &rows)?))
        };

        model.workers().map(order.chunks(batch).collect(), predict).into_iter().collect()
    }

    /// The model's predictions: `loss` in nats and `accuracy` over all targets, and the most
    /// probable token of each.
    ///
    /// # Errors
    /// When the model predicts no masked tokens, or the caller asks to stop.
    pub fn score(&self, model: &dyn Evaluable, batch: usize) -> Result<ModelPredictions> {
        let mut by_row = vec![Vec::new(); self.rows.len()];
        let mut total = 0.0;
        for (rows, TargetPredictions { loss, best }) in self.predict_all(model, batch)? {
            total += loss;
            let mut best = best.into_iter();
            for row in rows {
                by_row[row] = best.by_ref().take(self.rows[row].labels.len()).collect();
            }
        }

        let predicted: Vec<u32> = by_row.concat();
        let labels = self.rows.iter().flat_map(|row| &row.labels);
        let right = predicted.iter().zip(labels).filter(|(token, label)| token == label).count();
        let n = predicted.len().max(1) as f64;
        Ok(ModelPredictions {
            metrics: vec![
                ("loss".to_owned(), total / n),
                ("accuracy".to_owned(), right as f64 / n),
            ],
            predictions: predicted.into_iter().map(|token| json!(token)).collect(),
        })
    }
}

/// The model's predictions for one batch.
fn predict_rows(model: &dyn Evaluable, rows: &[&MaskedRow]) -> Result<TargetPredictions> {
    let masked: Vec<MaskedSequence<'_>> = rows.iter().map(|row| row.sequence()).collect();
    let predicted = predict(model, &masked).ok_or_else(|| no_masked_lm(model))?;
    let shares: Option<Vec<f32>> =
        predicted.share.clone().map(|share| share.into_data().iter::<f32>().collect());
    let logits = predicted.logits();
    let width = logits.dims()[1];
    let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();

    let mut found = TargetPredictions { loss: 0.0, best: Vec::new() };
    let targets = rows.iter().flat_map(|row| row.targets());
    for (i, (logits, (input, label))) in logits.chunks(width).zip(targets).enumerate() {
        let share = shares.as_ref().map(|shares| f64::from(shares[i]));
        let distribution = Distribution::new(logits, input as usize, share);
        found.loss -= distribution.log_probability(label as usize);
        found.best.push(distribution.best() as u32);
    }
    Ok(found)
}

/// The probabilities of the tokens at one position.
struct Distribution<'a> {
    logits: &'a [f32],
    /// The token with the largest logit.
    top: usize,
    log_sum: f64,
    /// The token in the input.
    input: usize,
    /// Natural log of the head's share; the rest belongs to the token in the input.
    share: Option<f64>,
}

impl<'a> Distribution<'a> {
    fn new(logits: &'a [f32], input: usize, share: Option<f64>) -> Self {
        let top = largest(logits);
        let sum: f64 = logits.iter().map(|logit| f64::from(logit - logits[top]).exp()).sum();
        Self { logits, top, log_sum: sum.ln(), input, share }
    }

    fn log_probability(&self, token: usize) -> f64 {
        let of_top = f64::from(self.logits[token] - self.logits[self.top]);
        let of_head = self.share.unwrap_or(0.0) + of_top - self.log_sum;
        match self.share {
            Some(share) if token == self.input => (1.0 - share.exp() + of_head.exp()).ln(),
            _ => of_head,
        }
    }

    fn best(&self) -> usize {
        let copies = self.log_probability(self.input) > self.log_probability(self.top);
        if copies { self.input } else { self.top }
    }
}

/// A masked language model that is measured on a [`MaskedSet`].
pub struct MaskedLmRunner<'a> {
    model: Box<dyn Evaluable>,
    set: &'a MaskedSet,
}

impl<'a> MaskedLmRunner<'a> {
    /// `model` on `set`.
    ///
    /// # Errors
    /// When it predicts no masked tokens, or there is nothing to predict.
    pub fn new(model: Box<dyn Evaluable>, set: &'a MaskedSet) -> Result<Self> {
        let first = set
            .rows
            .first()
            .ok_or_else(|| Error::Data("the text has no passage; give more".to_owned()))?;
        predict_rows(model.as_ref(), &[first])?;
        Ok(Self { model, set })
    }

    /// Shape and parameters of the part that predicts.
    fn predictor(&self) -> (EncoderConfig, usize) {
        self.model.predictor()
    }
}

impl MeasuredModel for MaskedLmRunner<'_> {
    fn parameters(&self) -> usize {
        let (_, parameters) = self.predictor();
        parameters
    }

    fn flops(&self) -> f64 {
        let (encoder, _) = self.predictor();
        let of = |row: &MaskedRow| {
            let sequences = sequences(self.model.as_ref(), &[row.sequence()]);
            encoder_flops(&encoder, &sequences) + head_flops(&encoder, row.labels.len())
        };
        self.set.rows.iter().map(of).sum::<f64>() / self.rows().max(1) as f64
    }

    fn rows(&self) -> usize {
        self.set.rows.len()
    }

    fn run_one(&self, row: usize) {
        let _ = std::hint::black_box(predict_rows(self.model.as_ref(), &[&self.set.rows[row]]));
    }

    fn run_all(&self, batch: usize) -> Result<()> {
        std::hint::black_box(self.set.predict_all(self.model.as_ref(), batch)?);
        Ok(())
    }

    fn predictions(&self, batch: usize) -> Result<ModelPredictions> {
        self.set.score(self.model.as_ref(), batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_has_the_share_that_the_head_does_not_give_out() {
        // A softmax of 3/4 and 1/4, of which half is given out; the rest belongs to token 1.
        let logits = [3f32.ln(), 0.0];
        let distribution = Distribution::new(&logits, 1, Some(0.5f64.ln()));
        assert!((distribution.log_probability(0).exp() - 0.375).abs() < 1e-6);
        assert!((distribution.log_probability(1).exp() - 0.625).abs() < 1e-6);
        assert_eq!(distribution.best(), 1);

        let plain = Distribution::new(&logits, 1, None);
        assert!((plain.log_probability(1).exp() - 0.25).abs() < 1e-6);
        assert_eq!(plain.best(), 0);
    }
}
