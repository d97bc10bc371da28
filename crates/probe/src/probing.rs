//! A probe: features of all layers, and a classifier for each.

use burn::tensor::Device;
use objective::{Label, LabelledSequence};
use trunk::Encoder;

use crate::Error;
use crate::logistic::{Classifier, LogisticConfig};
use crate::pool::{MeanStates, mean_states};

/// The decays that are tried.
const DECAYS: [f64; 4] = [1e-4, 1e-3, 1e-2, 1e-1];
/// Every this many training rows one is kept back to choose the decay by.
const KEPT_BACK: usize = 5;
/// Most steps of a fit.
const STEPS: usize = 150;

/// Labelled rows of both sides.
#[derive(Clone, Debug)]
pub struct ProbeRows {
    /// What classifiers learn from, in random order.
    pub train: Vec<LabelledSequence>,
    /// What they are measured on.
    pub test: Vec<LabelledSequence>,
    /// Number of classes.
    pub classes: usize,
}

/// The accuracy of the classifier on a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerScore {
    /// Share of the test rows that are told right.
    pub accuracy: f64,
    /// The decay that was chosen.
    pub decay: f64,
    /// Share of the training rows kept back to choose it by that were told right, which decides
    /// which layer is the best.
    pub kept_back: f64,
}

impl LayerScore {
    /// The first of the layers that were best on the rows kept back, and its score; layer 0 are the
    /// embeddings.
    ///
    /// # Panics
    /// When there is no layer.
    pub fn best(layers: &[Self]) -> (usize, Self) {
        let better = |best: (usize, Self), layer: (usize, Self)| {
            if layer.1.kept_back > best.1.kept_back { layer } else { best }
        };
        layers.iter().copied().enumerate().reduce(better).expect("a layer")
    }
}

/// How features are made.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    /// The frozen encoder.
    pub encoder: &'a Encoder,
    /// Whether it knows two segments.
    pub has_segments: bool,
    /// Rows that are computed at a time.
    pub batch: usize,
    /// Where.
    pub device: &'a Device,
}

impl Probe<'_> {
    /// The score of the embeddings and of each layer.
    ///
    /// # Errors
    /// When a side is empty, or a row has no class.
    pub fn scores(&self, rows: &ProbeRows) -> Result<Vec<LayerScore>, Error> {
        let (train, test) = (labels(&rows.train)?, labels(&rows.test)?);
        let states = |rows: &[LabelledSequence]| {
            mean_states(self.encoder, rows, self.has_segments, self.batch, self.device)
        };
        let layers = states(&rows.train).into_iter().zip(states(&rows.test));
        Ok(layers
            .map(|(learnt, measured)| score(&learnt, &train, &measured, &test, rows.classes))
            .collect())
    }
}

/// The classes of rows.
fn labels(rows: &[LabelledSequence]) -> Result<Vec<u32>, Error> {
    if rows.is_empty() {
        return Err(Error("a probe needs rows to learn from and rows to measure on".to_owned()));
    }
    let label = |row: &LabelledSequence| match row.label {
        Some(Label::Class(class)) => Ok(class),
        _ => Err(Error("a probe needs a class for every row".to_owned())),
    };
    rows.iter().map(label).collect()
}

impl ProbeRows {
    /// The score of the numbers of tokens alone, which is what a question must not be answered by.
    ///
    /// # Errors
    /// As [`Probe::scores`].
    pub fn score_of_lengths(&self) -> Result<LayerScore, Error> {
        let (train, test) = (labels(&self.train)?, labels(&self.test)?);
        Ok(score(&lengths(&self.train), &train, &lengths(&self.test), &test, self.classes))
    }

    /// The share of the test rows that are of the most frequent class.
    ///
    /// # Errors
    /// As [`Probe::scores`].
    pub fn majority(&self) -> Result<f64, Error> {
        let labels = labels(&self.test)?;
        let count = |class: usize| labels.iter().filter(|label| **label as usize == class).count();
        let most = (0..self.classes).map(count).max().unwrap_or(0);
        Ok(most as f64 / labels.len() as f64)
    }
}

/// For each row the number of tokens of both segments, their difference, and the squares of these.
fn lengths(rows: &[LabelledSequence]) -> MeanStates {
    let features = |row: &LabelledSequence| {
        let second = row.second.map_or(row.tokens.len(), |second| second as usize);
        let (first, second) = (second as f32, (row.tokens.len() - second) as f32);
        let numbers = [first, second, first - second];
        [numbers, numbers.map(|number| number * number)].concat()
    };
    MeanStates { values: rows.iter().flat_map(features).collect(), width: 6 }
}

/// The accuracy on `test` of a classifier that learns from `train`, with the decay that is best on
/// rows kept back from it.
fn score(
    train: &MeanStates,
    train_labels: &[u32],
    test: &MeanStates,
    test_labels: &[u32],
    classes: usize,
) -> LayerScore {
    let n = train_labels.len();
    let is_kept = |i: &usize| i.is_multiple_of(KEPT_BACK);
    let side = |kept: bool| -> (MeanStates, Vec<u32>) {
        let of_side = || (0..n).filter(move |i| is_kept(i) == kept);
        (train.select(of_side()), of_side().map(|i| train_labels[i]).collect())
    };
    let ((learnt, learnt_labels), (kept, kept_labels)) = (side(false), side(true));

    let config = |decay: f64| LogisticConfig { decay, steps: STEPS };
    let on_kept = |decay: f64| {
        let fitted = Classifier::fit(&learnt, &learnt_labels, classes, config(decay));
        fitted.accuracy(&kept, &kept_labels)
    };
    let mut best = (f64::NEG_INFINITY, DECAYS[0]);
    for decay in DECAYS {
        let accuracy = on_kept(decay);
        // Of equally good ones the largest.
        if accuracy >= best.0 {
            best = (accuracy, decay);
        }
    }

    let decay = best.1;
    let fitted = Classifier::fit(train, train_labels, classes, config(decay));
    LayerScore { accuracy: fitted.accuracy(test, test_labels), decay, kept_back: best.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus::{keyed_rng, uniform};
    use objective::fixtures;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    /// Rows of eight words, the third of which is 11 or 12 and makes the class.
    fn rows(numbers: std::ops::Range<u64>) -> Vec<LabelledSequence> {
        let row = |number: u64| {
            let rng = &mut keyed_rng("rows", 1, number, 0);
            let mut tokens: Vec<u32> = (0..8).map(|_| 13 + (uniform(rng) * 27.0) as u32).collect();
            let class = number as u32 % 2;
            tokens[2] = 11 + class;
            let label = Some(Label::Class(class));
            LabelledSequence { tokens, second: None, label, teacher_logits: None }
        };
        numbers.map(row).collect()
    }

    #[test]
    fn a_word_that_is_there_is_read_from_every_layer_and_not_from_the_length() {
        let device = Device::flex();
        let encoder =
            Encoder::init(&fixtures::encoder(), &mut ChaCha8Rng::seed_from_u64(1), &device);
        let rows = ProbeRows { train: rows(0..600), test: rows(600..900), classes: 2 };
        let probe = Probe { encoder: &encoder, has_segments: false, batch: 64, device: &device };

        let scores = probe.scores(&rows).expect("scores");
        assert_eq!(scores.len(), 3);
        assert!(scores.iter().all(|layer| layer.accuracy > 0.75), "{scores:?}");
        assert!(LayerScore::best(&scores).1.accuracy > 0.75);

        assert_eq!(rows.majority().expect("classes"), 0.5);
        let lengths = rows.score_of_lengths().expect("a score").accuracy;
        assert!((lengths - 0.5).abs() < 0.01, "{lengths}");
    }

    #[test]
    fn rows_without_a_class_are_refused() {
        let device = Device::flex();
        let encoder =
            Encoder::init(&fixtures::encoder(), &mut ChaCha8Rng::seed_from_u64(1), &device);
        let probe = Probe { encoder: &encoder, has_segments: false, batch: 64, device: &device };
        let mut train = rows(0..20);
        let empty = ProbeRows { train: train.clone(), test: Vec::new(), classes: 2 };
        assert!(probe.scores(&empty).is_err());
        train[3].label = Some(Label::Score(0.5));
        let scored = ProbeRows { test: train.clone(), train, classes: 2 };
        assert!(probe.scores(&scored).expect_err("refused").to_string().contains("a class"));
    }
}
