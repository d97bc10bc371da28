//! A model that is measured beside another one: its cost, its speed and its predictions, whatever
//! its objective.

use serde_json::Value;

use crate::error::Result;

/// A model and the rows that it is measured on.
pub trait MeasuredModel {
    /// Parameters.
    fn parameters(&self) -> usize;
    /// Floating-point operations of a forward pass over one row: the mean over the rows.
    fn flops(&self) -> f64;
    /// Number of rows.
    fn rows(&self) -> usize;
    /// Predicts one row alone, from token ids to numbers on the host.
    fn run_one(&self, row: usize);
    /// Predicts all rows, `batch` at a time.
    ///
    /// # Errors
    /// When the caller asks to stop.
    fn run_all(&self, batch: usize) -> Result<()>;
    /// The predictions for all rows, and how good they are.
    ///
    /// # Errors
    /// When the caller asks to stop.
    fn predictions(&self, batch: usize) -> Result<ModelPredictions>;
}

/// The predictions of a model, and how good they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelPredictions {
    /// Metrics by name.
    pub metrics: Vec<(String, f64)>,
    /// One prediction a row: a class, tags, a text, a token; a number in regression.
    pub predictions: Vec<Value>,
}

impl ModelPredictions {
    /// How far two models agree: the share of equal predictions, or the correlation of scores
    /// (Pearson).
    pub fn agreement(&self, other: &Self) -> f64 {
        let scores =
            |of: &Self| of.predictions.iter().map(Value::as_f64).collect::<Option<Vec<_>>>();
        let is_regression = self.predictions.iter().all(Value::is_f64);
        if is_regression && let Some((ours, theirs)) = scores(self).zip(scores(other)) {
            return tasks::metrics::pearson(&ours, &theirs).unwrap_or(0.0);
        }

        let pairs = self.predictions.iter().zip(&other.predictions);
        let equal = pairs.filter(|(ours, theirs)| ours == theirs).count();
        equal as f64 / self.predictions.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn predictions(values: &[Value]) -> ModelPredictions {
        ModelPredictions { metrics: Vec::new(), predictions: values.to_vec() }
    }

    #[test]
    fn models_agree_where_predictions_are_equal_and_scores_where_they_are_correlated() {
        let ours = predictions(&[json!("a"), json!("b"), json!("a"), json!("a")]);
        let theirs = predictions(&[json!("b"), json!("b"), json!("a"), json!("b")]);
        assert_eq!(ours.agreement(&ours), 1.0);
        assert_eq!(ours.agreement(&theirs), 0.5);

        let scores = predictions(&[json!(1.0), json!(2.0), json!(4.0)]);
        let falling = predictions(&[json!(-1.0), json!(-2.0), json!(-4.0)]);
        assert!((scores.agreement(&falling) + 1.0).abs() < 1e-12);
    }
}
