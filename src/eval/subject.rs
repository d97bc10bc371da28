//! A model that is measured beside another one: what it costs and what it says, whatever its
//! objective.

use anyhow::Result;
use burn::module::Module;
use objective::{Example, Objective, Purpose};
use serde_json::{Value, json};
use tune::Kind;

use super::fill::{Filler, Quiz};
use super::loss;
use crate::finetune::{DataConfig, Split, judge};
use crate::model::Loaded;
use crate::train::labelled_set;

/// A model and the rows that it is asked about.
pub trait Subject {
    /// Parameters.
    fn parameters(&self) -> usize;
    /// Floating-point operations of a forward pass over one row: the mean over the rows.
    fn flops(&self) -> f64;
    /// Number of rows.
    fn rows(&self) -> usize;
    /// Asks about one row alone, from token ids to numbers on the host.
    fn ask_one(&self, row: usize);
    /// Asks about all rows, `batch` at a time.
    ///
    /// # Errors
    /// When a signal asks to stop.
    fn ask_all(&self, batch: usize) -> Result<()>;
    /// What the model says, and how good that is.
    ///
    /// # Errors
    /// When a signal asks to stop.
    fn answers(&self, batch: usize) -> Result<Answers>;
}

/// What a model says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Metrics by name.
    pub metrics: Vec<(String, f64)>,
    /// One answer a question: a class, tags, a text, a token; a number in regression.
    pub said: Vec<Value>,
}

impl Answers {
    /// How far two models agree: the share of questions with the same answer, or the correlation of
    /// scores (Pearson).
    pub fn agreement(&self, other: &Self) -> f64 {
        let scores =
            |answers: &Self| answers.said.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
        let regression = self.said.iter().all(Value::is_f64);
        if let (true, Some((mine, theirs))) = (regression, scores(self).zip(scores(other))) {
            return tasks::metrics::pearson(&mine, &theirs).unwrap_or(0.0);
        }
        let same =
            self.said.iter().zip(&other.said).filter(|(mine, theirs)| mine == theirs).count();
        same as f64 / self.said.len().max(1) as f64
    }
}

/// What models are asked.
#[derive(Debug)]
pub enum Questions<'a> {
    /// Masked tokens.
    Masked(&'a Quiz),
    /// A task.
    Task {
        /// What is predicted.
        kind: Kind,
        /// Names of the model's classes or tags.
        labels: Vec<String>,
        /// How the data are read.
        data: &'a DataConfig,
        /// The rows, in the tokens of this model.
        split: Split,
    },
}

/// The model in `loaded` before `questions`.
///
/// # Errors
/// When it cannot answer them.
pub fn subject<'a, O: Objective>(
    loaded: Loaded<O>,
    questions: Questions<'a>,
) -> Result<Box<dyn Subject + 'a>> {
    Ok(match questions {
        Questions::Masked(quiz) => Box::new(Filler::new(loaded, quiz)?),
        Questions::Task { kind, labels, data, split } => {
            let examples = labelled_set(&split.rows);
            Box::new(Learner { loaded, kind, labels, data, split, examples })
        }
    })
}

/// A model of a task.
struct Learner<'a, O: Objective> {
    loaded: Loaded<O>,
    kind: Kind,
    labels: Vec<String>,
    data: &'a DataConfig,
    split: Split,
    examples: Vec<Example>,
}

impl<O: Objective> Subject for Learner<'_, O> {
    fn parameters(&self) -> usize {
        self.loaded.model.num_params()
    }

    fn flops(&self) -> f64 {
        let Loaded { objective, encoder, .. } = &self.loaded;
        let of = |example| {
            objective.flops(
                encoder,
                &objective.collate(std::slice::from_ref(example), Purpose::Evaluation),
            )
        };
        self.examples.iter().map(of).sum::<f64>() / self.rows().max(1) as f64
    }

    fn rows(&self) -> usize {
        self.examples.len()
    }

    fn ask_one(&self, row: usize) {
        let Loaded { objective, model, device, .. } = &self.loaded;
        let batch = objective.collate(&self.examples[row..=row], Purpose::Evaluation);
        std::hint::black_box(objective.forward(model, &batch, None, device).outputs);
    }

    fn ask_all(&self, batch: usize) -> Result<()> {
        let Loaded { objective, model, device, workers, .. } = &self.loaded;
        std::hint::black_box(loss::answer(
            objective.as_ref(),
            model,
            &self.examples,
            batch,
            device,
            workers,
        )?);
        Ok(())
    }

    fn answers(&self, batch: usize) -> Result<Answers> {
        let judged = judge(&self.loaded, (self.kind, &self.labels), self.data, &self.split, batch)?;
        let said = |prediction: &Value| {
            let part = ["label", "score", "tags", "answer"]
                .into_iter()
                .find_map(|name| prediction.get(name));
            part.cloned().unwrap_or(json!(null))
        };
        Ok(Answers { metrics: judged.metrics, said: judged.predictions.iter().map(said).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(said: &[Value]) -> Answers {
        Answers { metrics: Vec::new(), said: said.to_vec() }
    }

    #[test]
    fn models_agree_where_they_say_the_same_and_scores_where_they_are_correlated() {
        let mine = answers(&[json!("a"), json!("b"), json!("a"), json!("a")]);
        assert_eq!(mine.agreement(&mine), 1.0);
        assert_eq!(
            mine.agreement(&answers(&[json!("b"), json!("b"), json!("a"), json!("b")])),
            0.5
        );
        let scores = answers(&[json!(1.0), json!(2.0), json!(4.0)]);
        let falling = answers(&[json!(-1.0), json!(-2.0), json!(-4.0)]);
        assert!((scores.agreement(&falling) + 1.0).abs() < 1e-12);
    }
}
