//! Learning from what a teacher says.

use ::objective::Error;
use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softmax};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// The `[objective.advice]` table: learning from a teacher beside the labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdviceConfig {
    /// The teacher's share in the loss; the rest is the labels'. 0: no teacher. TinyBERT, Tang et
    /// al.: 1.
    pub share: f64,
    /// How student and teacher are compared.
    pub measure: Measure,
    /// What logits are divided by in the cross-entropy, which is multiplied by its square (Hinton
    /// et al. 2015).
    pub temperature: f64,
    /// What becomes of the classes of an example.
    pub over_classes: OverClasses,
}

/// How student and teacher are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// `-sum_c softmax(z / T)_c log softmax(y / T)_c`: TinyBERT.
    #[default]
    CrossEntropy,
    /// `sum_c (y_c - z_c)^2` of the logits: Tang et al. 2019; always so for scores.
    Squares,
}

/// What becomes of the classes of an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverClasses {
    /// They are summed, as in the papers.
    #[default]
    Sum,
    /// Their mean is taken, as in the code of TinyBERT's and of Tang et al.'s authors.
    Mean,
}

impl Default for AdviceConfig {
    fn default() -> Self {
        Self {
            share: 0.0,
            measure: Measure::CrossEntropy,
            temperature: 1.0,
            over_classes: OverClasses::Sum,
        }
    }
}

impl AdviceConfig {
    /// Checks that the values fit together and to what is predicted.
    ///
    /// # Errors
    /// Names the first that does not, and what it should be.
    pub fn validate(&self, kind: Kind) -> Result<(), Error> {
        let Self { share, temperature, .. } = self;
        if !(0.0..=1.0).contains(share) {
            return Err(Error(format!("advice.share = {share}: must be between 0 and 1")));
        }
        if !(*temperature > 0.0 && temperature.is_finite()) {
            return Err(Error(format!("advice.temperature = {temperature}: must be above 0")));
        }
        if *share > 0.0 && !kind.of_sequence() {
            let message = "a teacher is asked about classes and scores only; tags and answers are learnt from labels";
            return Err(Error(format!("advice.share = {share}: {message}")));
        }
        Ok(())
    }

    /// The sum over examples, `[1]`, between what the student says, `[n, outputs]`, and what the
    /// teacher says, flat.
    pub fn loss(&self, said: &Tensor<2>, advice: &[f32]) -> Tensor<1> {
        let [n, width] = said.dims();
        let advice = Tensor::<1>::from_data(advice, &said.device()).reshape([n, width]);
        let sum = if self.measure == Measure::Squares || width == 1 {
            (said.clone() - advice).powi_scalar(2).sum()
        } else {
            let t = self.temperature;
            let logarithms = log_softmax(said.clone() / t, 1);
            (softmax(advice / t, 1) * logarithms).sum() * -(t * t)
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

    fn loss(config: AdviceConfig, said: [f32; 2], advice: [f32; 2]) -> f32 {
        let said = Tensor::<2>::from_floats([said], &Device::flex());
        config.loss(&said, &advice).into_scalar()
    }

    #[test]
    fn losses_by_hand() {
        let config = AdviceConfig::default();
        let (squares, mean) = (Measure::Squares, OverClasses::Mean);
        // Both undecided: ln 2. The teacher 3 to 1, the student undecided: ln 2 again.
        let near = |got: f32, want: f32| assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        near(loss(config, [0.0, 0.0], [0.0, 0.0]), 2f32.ln());
        near(loss(config, [0.0, 0.0], [3f32.ln(), 0.0]), 2f32.ln());
        // The teacher undecided, the student 3 to 1: -(ln 3/4 + ln 1/4) / 2.
        near(loss(config, [3f32.ln(), 0.0], [0.0, 0.0]), -(0.75f32.ln() + 0.25f32.ln()) / 2.0);
        let warm = AdviceConfig { temperature: 2.0, ..config };
        near(loss(warm, [9f32.ln(), 0.0], [0.0, 0.0]), -4.0 * (0.75f32.ln() + 0.25f32.ln()) / 2.0);
        near(loss(AdviceConfig { measure: squares, ..config }, [1.0, 5.0], [3.0, 2.0]), 13.0);
        near(
            loss(
                AdviceConfig { measure: squares, over_classes: mean, ..config },
                [1.0, 5.0],
                [3.0, 2.0],
            ),
            6.5,
        );
    }

    #[test]
    fn what_cannot_be_is_named() {
        let message =
            |config: AdviceConfig, kind| config.validate(kind).expect_err("refused").to_string();
        let config = AdviceConfig { share: 1.0, ..AdviceConfig::default() };
        assert!(
            message(AdviceConfig { share: 1.5, ..config }, Kind::Regression)
                .contains("advice.share = 1.5")
        );
        assert!(
            message(AdviceConfig { temperature: 0.0, ..config }, Kind::Regression)
                .contains("advice.temperature")
        );
        assert!(message(config, Kind::Tagging).contains("tags and answers"));
        config.validate(Kind::Classification).expect("fits");
    }
}
