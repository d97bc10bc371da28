//! A model of a task, measured beside another one.

use finetune::{DataConfig, Split};
use objective::{Example, LabelledSequence};
use serde_json::{Value, json};

use crate::error::Result;
use crate::evaluable::Evaluable;
use crate::loss::evaluate_with_outputs;
use crate::measured::{MeasuredModel, ModelPredictions};
use crate::task::{TaskOutputs, score};

/// A model that learnt a task.
pub struct TaskModel<'a> {
    model: Box<dyn Evaluable>,
    outputs: TaskOutputs,
    data: &'a DataConfig,
    split: Split,
    examples: Vec<Example>,
}

impl<'a> TaskModel<'a> {
    /// `model` on `split`.
    pub fn new(
        model: Box<dyn Evaluable>,
        outputs: TaskOutputs,
        data: &'a DataConfig,
        split: Split,
    ) -> Self {
        let examples = LabelledSequence::evaluation_set(&split.rows);
        Self { model, outputs, data, split, examples }
    }
}

impl MeasuredModel for TaskModel<'_> {
    fn parameters(&self) -> usize {
        self.model.parameters()
    }

    fn flops(&self) -> f64 {
        let of = |example| self.model.flops(std::slice::from_ref(example));
        self.examples.iter().map(of).sum::<f64>() / self.rows().max(1) as f64
    }

    fn rows(&self) -> usize {
        self.examples.len()
    }

    fn run_one(&self, row: usize) {
        std::hint::black_box(self.model.outputs(&self.examples[row..=row]));
    }

    fn run_all(&self, batch: usize) -> Result<()> {
        let outputs = evaluate_with_outputs(self.model.as_ref(), &self.examples, batch)?;
        std::hint::black_box(outputs);
        Ok(())
    }

    fn predictions(&self, batch: usize) -> Result<ModelPredictions> {
        let scored = score(self.model.as_ref(), &self.outputs, self.data, &self.split, batch)?;
        let value = |prediction: &Value| {
            let fields = ["label", "score", "tags", "answer"];
            let found = fields.into_iter().find_map(|name| prediction.get(name));
            found.cloned().unwrap_or(json!(null))
        };
        let predictions = scored.predictions.iter().map(value).collect();
        Ok(ModelPredictions { metrics: scored.metrics, predictions })
    }
}
