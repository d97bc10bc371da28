//! Learning from a teacher's outputs.

use ::objective::Error;
use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softmax};
use serde::{Deserialize, Serialize};

use crate::kind::TaskKind;

/// The `[objective.distillation]` table: learning from a teacher beside the labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistillationConfig {
    /// Share of the teacher in the loss, from 0 (no teacher) to 1 (no labels). TinyBERT, Tang et
    /// al.: 1.
    pub share: f64,
    /// How student and teacher are compared.
    pub comparison: Comparison,
    /// Temperature T of the cross-entropy: logits are divided by T, the cross-entropy is multiplied
    /// by T^2 (Hinton et al. 2015).
    pub temperature: f64,
    /// How the classes of an example are combined.
    pub over_classes: OverClasses,
}

/// How student and teacher are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// `-sum_c softmax(z / T)_c log softmax(y / T)_c`: TinyBERT.
    #[default]
    CrossEntropy,
    /// `sum_c (y_c - z_c)^2` of the logits: Tang et al. 2019. Scores are always compared so.
    Squares,
}

/// How the classes of an example are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverClasses {
    /// By their sum, as in the papers.
    #[default]
    Sum,
    /// By their mean, as in the code of TinyBERT's and of Tang et al.'s authors.
    Mean,
}

impl Default for DistillationConfig {
    fn default() -> Self {
        Self {
            share: 0.0,
            comparison: Comparison::CrossEntropy,
            temperature: 1.0,
            over_classes: OverClasses::Sum,
        }
    }
}

impl DistillationConfig {
    /// Checks that the values are possible for tasks of `kind`.
    ///
    /// # Errors
    /// Names the first impossible value, and what it should be.
    pub fn validate(&self, kind: TaskKind) -> Result<(), Error> {
        let Self { share, temperature, .. } = self;
        if !(0.0..=1.0).contains(share) {
            return Err(Error(format!("distillation.share = {share}: must be between 0 and 1")));
        }
        if !(*temperature > 0.0 && temperature.is_finite()) {
            return Err(Error(format!(
                "distillation.temperature = {temperature}: must be above 0"
            )));
        }

        if *share > 0.0 && !kind.of_sequence() {
            let message = "only classes and scores are learnt from a teacher; tags and answers are \
                           learnt from labels";
            return Err(Error(format!("distillation.share = {share}: {message}")));
        }
        Ok(())
    }

    /// The distance between the student's outputs `[n, outputs]` and the teacher's flat outputs,
    /// summed over examples, `[1]`.
    pub fn loss(&self, student: &Tensor<2>, teacher: &[f32]) -> Tensor<1> {
        let [n, width] = student.dims();
        let teacher = Tensor::<1>::from_data(teacher, &student.device()).reshape([n, width]);

        let sum = if self.comparison == Comparison::Squares || width == 1 {
            (student.clone() - teacher).powi_scalar(2).sum()
        } else {
            let t = self.temperature;
            let logarithms = log_softmax(student.clone() / t, 1);
            (softmax(teacher / t, 1) * logarithms).sum() * -(t * t)
        };

        match self.over_classes {
            OverClasses::Sum => sum,
            OverClasses::Mean => sum / width as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn loss(config: DistillationConfig, student: [f32; 2], teacher: [f32; 2]) -> f32 {
        let student = Tensor::<2>::from_floats([student], &Device::flex());
        config.loss(&student, &teacher).into_scalar()
    }

    #[test]
    fn losses_by_hand() {
        let config = DistillationConfig::default();
        let near = |got: f32, want: f32| assert!((got - want).abs() < 1e-6, "{got} is not {want}");

        // Both undecided: ln 2. The teacher 3 to 1, the student undecided: ln 2 again.
        near(loss(config, [0.0, 0.0], [0.0, 0.0]), 2f32.ln());
        near(loss(config, [0.0, 0.0], [3f32.ln(), 0.0]), 2f32.ln());
        // The teacher undecided, the student 3 to 1: -(ln 3/4 + ln 1/4) / 2.
        near(loss(config, [3f32.ln(), 0.0], [0.0, 0.0]), -(0.75f32.ln() + 0.25f32.ln()) / 2.0);
        let warm = DistillationConfig { temperature: 2.0, ..config };
        near(loss(warm, [9f32.ln(), 0.0], [0.0, 0.0]), -4.0 * (0.75f32.ln() + 0.25f32.ln()) / 2.0);

        let squares = DistillationConfig { comparison: Comparison::Squares, ..config };
        near(loss(squares, [1.0, 5.0], [3.0, 2.0]), 13.0);
        let mean = DistillationConfig { over_classes: OverClasses::Mean, ..squares };
        near(loss(mean, [1.0, 5.0], [3.0, 2.0]), 6.5);
    }

    #[test]
    fn impossible_values_are_named() {
        let message = |config: DistillationConfig, kind| {
            config.validate(kind).expect_err("refused").to_string()
        };

        let config = DistillationConfig { share: 1.0, ..DistillationConfig::default() };
        assert!(
            message(DistillationConfig { share: 1.5, ..config }, TaskKind::Regression)
                .contains("distillation.share = 1.5")
        );
        assert!(
            message(DistillationConfig { temperature: 0.0, ..config }, TaskKind::Regression)
                .contains("distillation.temperature")
        );
        assert!(message(config, TaskKind::Tagging).contains("tags and answers"));
        config.validate(TaskKind::Classification).expect("fits");
    }
}
