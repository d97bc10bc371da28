//! Masked tokens that any masked language model is asked for, the same ones whatever it was trained
//! on.

use anyhow::Result;
use burn::tensor::Tensor;
use mlm::{encoder_flops, head_flops};
use objective::{Example, Objective, Purpose, Shown};
use serde_json::json;
use trunk::{EncoderConfig, Predicted, Sequences};
use tune::largest;

use super::subject::{Answers, Subject};
use crate::exit::BadInput;
use crate::model::Loaded;
use crate::signals;

/// A sequence with places to be filled.
#[derive(Clone, Copy, Debug)]
pub struct Blank<'a> {
    /// Its tokens, special ones included.
    pub tokens: &'a [u32],
    /// The segment of each token; empty where all are 0.
    pub segments: &'a [u32],
    /// Where something is to be predicted, ascending.
    pub places: &'a [u32],
}

/// The batch of `blanks` as the model in `loaded` takes it.
fn sequences<O: Objective>(loaded: &Loaded<O>, blanks: &[Blank<'_>]) -> Sequences {
    let tokens: Vec<&[u32]> = blanks.iter().map(|blank| blank.tokens).collect();
    let sequences = Sequences::pad(&tokens, loaded.tokenizer.specials().pad);
    match loaded.encoder.segments > 1 && blanks.iter().any(|blank| blank.segments.contains(&1)) {
        true => {
            sequences.with_segments(&blanks.iter().map(|blank| blank.segments).collect::<Vec<_>>())
        }
        false => sequences,
    }
}

/// The logits `[places, vocabulary]` at the places of all `blanks` in turn.
///
/// # Errors
/// When the model is no masked language model.
pub fn logits<O: Objective>(
    loaded: &Loaded<O>,
    blanks: &[Blank<'_>],
) -> Result<Tensor<2>, BadInput> {
    Ok(predicted(loaded, blanks)?.logits())
}

fn predicted<'m, O: Objective>(
    loaded: &'m Loaded<O>,
    blanks: &[Blank<'_>],
) -> Result<Predicted<'m>, BadInput> {
    let sequences = sequences(loaded, blanks);
    let place = |(row, blank): (usize, &Blank<'_>)| {
        let start = (row * sequences.len) as u32;
        blank.places.iter().map(move |place| start + place).collect::<Vec<u32>>()
    };
    let places: Vec<u32> = blanks.iter().enumerate().flat_map(place).collect();
    let predicted = loaded.objective.predict(&loaded.model, &sequences, &places, &loaded.device);
    let message =
        || BadInput(format!("a model of the objective `{}` predicts no masked tokens", O::NAME));
    predicted.ok_or_else(message)
}

/// Rows with masked places.
#[derive(Clone, Debug, Default)]
pub struct Quiz {
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    tokens: Vec<u32>,
    segments: Vec<u32>,
    places: Vec<u32>,
    labels: Vec<u32>,
}

impl Row {
    fn blank(&self) -> Blank<'_> {
        Blank { tokens: &self.tokens, segments: &self.segments, places: &self.places }
    }
}

impl Quiz {
    /// The evaluation masks of `objective` on `examples`.
    pub fn new(objective: &impl Objective, examples: &[Example]) -> Self {
        let row = |shown: Vec<Shown>| {
            let asked =
                || (0u32..).zip(&shown).filter_map(|(place, shown)| Some((place, shown.label?)));
            Row {
                tokens: shown.iter().map(|shown| shown.token).collect(),
                segments: shown.iter().map(|shown| shown.segment).collect(),
                places: asked().map(|(place, _)| place).collect(),
                labels: asked().map(|(_, label)| label).collect(),
            }
        };
        let rows = examples.iter().flat_map(|example| {
            let batch = objective.collate(std::slice::from_ref(example), Purpose::Evaluation);
            let count = objective.sequences(&batch).batch();
            (0..count).map(|i| row(objective.show(&batch, i))).collect::<Vec<Row>>()
        });
        Self { rows: rows.filter(|row| !row.places.is_empty()).collect() }
    }
}

/// The sum of the losses, and the likeliest tokens.
type Filled = (f64, Vec<u32>);

impl Quiz {
    /// What a model says about `rows`.
    fn fill<O: Objective>(loaded: &Loaded<O>, rows: &[&Row]) -> Result<Filled, BadInput> {
        let predicted = predicted(loaded, &rows.iter().map(|row| row.blank()).collect::<Vec<_>>())?;
        let shares: Option<Vec<f32>> =
            predicted.share.clone().map(|share| share.into_data().iter::<f32>().collect());
        let logits = predicted.logits();
        let width = logits.dims()[1];
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        let asked = rows.iter().flat_map(|row| {
            row.places.iter().map(|place| row.tokens[*place as usize]).zip(&row.labels)
        });
        let (mut loss, mut best) = (0.0, Vec::new());
        for (i, (logits, (token, label))) in logits.chunks(width).zip(asked).enumerate() {
            let top = largest(logits);
            let sum: f64 = logits.iter().map(|logit| f64::from(logit - logits[top]).exp()).sum();
            let given = shares.as_ref().map(|shares| f64::from(shares[i]));
            let log_probability = |id: usize| {
                let said = given.unwrap_or(0.0) + f64::from(logits[id] - logits[top]) - sum.ln();
                match given {
                    // What the head does not give out belongs to the token that stands there.
                    Some(given) if id == token as usize => (1.0 - given.exp() + said.exp()).ln(),
                    _ => said,
                }
            };
            loss -= log_probability(*label as usize);
            let top = if log_probability(token as usize) > log_probability(top) {
                token as usize
            } else {
                top
            };
            best.push(top as u32);
        }
        Ok((loss, best))
    }

    /// Rows by length, `batch` at a time, and what is said about each batch.
    fn fill_all<O: Objective>(
        &self,
        loaded: &Loaded<O>,
        batch: usize,
    ) -> Result<Vec<(Vec<usize>, Filled)>> {
        let rows = &self.rows;
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|i| rows[*i].tokens.len());
        let filled = loaded.workers.map(order.chunks(batch).collect(), |part| {
            signals::check()?;
            let asked: Vec<&Row> = part.iter().map(|i| &rows[*i]).collect();
            Ok((part.to_vec(), Self::fill(loaded, &asked)?))
        });
        filled.into_iter().collect()
    }

    /// What the model in `loaded` says: `loss` in nats and `accuracy` over all places, and the
    /// likeliest token of each.
    ///
    /// # Errors
    /// When it predicts no masked tokens, or a signal asks to stop.
    pub fn answers<O: Objective>(&self, loaded: &Loaded<O>, batch: usize) -> Result<Answers> {
        let mut said = vec![Vec::new(); self.rows.len()];
        let mut total = 0.0;
        for (rows, (loss, best)) in self.fill_all(loaded, batch)? {
            total += loss;
            let mut best = best.into_iter();
            for row in rows {
                said[row] = best.by_ref().take(self.rows[row].labels.len()).collect();
            }
        }
        let labels = || self.rows.iter().flat_map(|row| &row.labels);
        let said: Vec<u32> = said.concat();
        let (n, right) =
            (said.len().max(1) as f64, said.iter().zip(labels()).filter(|(a, b)| a == b).count());
        let metrics =
            vec![("loss".to_owned(), total / n), ("accuracy".to_owned(), right as f64 / n)];
        Ok(Answers { metrics, said: said.into_iter().map(|token| json!(token)).collect() })
    }
}

/// A masked language model before a quiz.
pub struct Filler<'a, O: Objective> {
    loaded: Loaded<O>,
    quiz: &'a Quiz,
}

impl<'a, O: Objective> Filler<'a, O> {
    /// The model in `loaded` before `quiz`.
    ///
    /// # Errors
    /// When it predicts no masked tokens, or there is nothing to predict.
    pub fn new(loaded: Loaded<O>, quiz: &'a Quiz) -> Result<Self> {
        let first = quiz
            .rows
            .first()
            .ok_or_else(|| BadInput("the text has no passage; give more".to_owned()))?;
        Quiz::fill(&loaded, &[first])?;
        Ok(Self { loaded, quiz })
    }

    /// Shape and parameters of what predicts.
    fn predictor(&self) -> (EncoderConfig, usize) {
        self.loaded.objective.predictor(&self.loaded.model, &self.loaded.encoder)
    }
}

impl<O: Objective> Subject for Filler<'_, O> {
    fn parameters(&self) -> usize {
        self.predictor().1
    }

    fn flops(&self) -> f64 {
        let (encoder, _) = self.predictor();
        let read = |row: &Row| encoder_flops(&encoder, &sequences(&self.loaded, &[row.blank()]));
        let of = |row: &Row| read(row) + head_flops(&encoder, row.labels.len());
        self.quiz.rows.iter().map(of).sum::<f64>() / self.rows().max(1) as f64
    }

    fn rows(&self) -> usize {
        self.quiz.rows.len()
    }

    fn ask_one(&self, row: usize) {
        let _ = std::hint::black_box(Quiz::fill(&self.loaded, &[&self.quiz.rows[row]]));
    }

    fn ask_all(&self, batch: usize) -> Result<()> {
        std::hint::black_box(self.quiz.fill_all(&self.loaded, batch)?);
        Ok(())
    }

    fn answers(&self, batch: usize) -> Result<Answers> {
        self.quiz.answers(&self.loaded, batch)
    }
}
