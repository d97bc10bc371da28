//! How the learning rate changes over the budget.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The curve after the warmup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleShape {
    /// A line down to the floor.
    #[default]
    Linear,
    /// (1 - t) to the `power`. BERT, ALBERT, ELECTRA, RoBERTa: power 1.
    Polynomial,
    /// Half a cosine.
    Cosine,
    /// No change until the last share of the budget, `decay`; then a line down to the floor
    /// (warmup-stable-decay, Hu et al. 2024).
    Wsd,
    /// The root of warmup / t (Vaswani et al. 2017).
    InverseSqrt,
    /// No change.
    Constant,
}

/// How the warmup meets the curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarmupShape {
    /// A ramp to the peak, then the curve from there to the end (Hugging Face, fairseq).
    #[default]
    Ramp,
    /// A ramp to the peak, then the curve as if it had run from the start: a small step down (the
    /// authors' BERT, ALBERT).
    Bert,
    /// The curve from the start, multiplied by the ramp: the peak is never reached (the authors'
    /// ELECTRA).
    Product,
}

/// The `[schedule]` table. All shares are of the budget, whatever its unit: steps, tokens, epochs
/// or minutes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// The curve after the warmup.
    pub shape: ScheduleShape,
    /// Share of the budget that is warmup. BERT: 0.01; RoBERTa: 0.048; DistilBERT: 0.05.
    pub warmup: f64,
    /// How the warmup meets the curve.
    pub warmup_shape: WarmupShape,
    /// The exponent of the polynomial.
    pub power: f64,
    /// Share of the budget at its end in which the rate falls, with the shape `wsd`.
    pub decay: f64,
    /// The lowest rate, as a share of the peak.
    pub floor: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            shape: ScheduleShape::Linear,
            warmup: 0.06,
            warmup_shape: WarmupShape::Ramp,
            power: 1.0,
            decay: 0.2,
            floor: 0.0,
        }
    }
}

impl ScheduleConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// Names the first that cannot be.
    pub fn validate(&self) -> Result<()> {
        let checks = [
            (
                "warmup",
                self.warmup,
                (0.0..1.0).contains(&self.warmup),
                "must be a share: at least 0 and below 1",
            ),
            ("power", self.power, self.power > 0.0 && self.power.is_finite(), "must be above 0"),
            (
                "decay",
                self.decay,
                self.shape != ScheduleShape::Wsd
                    || (self.decay > 0.0 && self.decay <= 1.0 - self.warmup),
                "must be above 0, and with the warmup at most 1",
            ),
            ("floor", self.floor, (0.0..=1.0).contains(&self.floor), "must be between 0 and 1"),
        ];

        if let Some((name, value, _, reason)) = checks.iter().find(|(_, _, good, _)| !good) {
            return Err(Error::Data(format!("schedule.{name} = {value}: {reason}")));
        }
        if self.shape == ScheduleShape::InverseSqrt && self.warmup == 0.0 {
            return Err(Error::Data(
                "schedule.warmup = 0: the shape inverse-sqrt needs a warmup".to_owned(),
            ));
        }
        Ok(())
    }

    /// What the peak is multiplied with when the share `t` of the budget is spent.
    pub fn factor(&self, t: f64) -> f64 {
        let t = t.clamp(0.0, 1.0);
        let warmup = self.warmup;
        let ramp = if t < warmup { t / warmup } else { 1.0 };

        // The position on the curve: 0 at its start, 1 at its end.
        let along = match self.warmup_shape {
            WarmupShape::Ramp => ((t - warmup) / (1.0 - warmup)).max(0.0),
            WarmupShape::Bert | WarmupShape::Product => t,
        };

        let curve = match self.shape {
            ScheduleShape::Linear => 1.0 - along,
            ScheduleShape::Polynomial => (1.0 - along).powf(self.power),
            ScheduleShape::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * along).cos()),
            ScheduleShape::Wsd => ((1.0 - t) / self.decay).min(1.0),
            ScheduleShape::InverseSqrt => (warmup / t.max(warmup)).sqrt(),
            ScheduleShape::Constant => 1.0,
        };
        let curve = self.floor + (1.0 - self.floor) * curve;

        match self.warmup_shape {
            WarmupShape::Product => curve * ramp,
            WarmupShape::Ramp | WarmupShape::Bert if t < warmup => ramp,
            WarmupShape::Ramp | WarmupShape::Bert => curve,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(config: &ScheduleConfig) -> Vec<f64> {
        (0..=10).map(|i| (config.factor(f64::from(i) / 10.0) * 1000.0).round() / 1000.0).collect()
    }

    fn with(shape: ScheduleShape, warmup_shape: WarmupShape) -> ScheduleConfig {
        ScheduleConfig { shape, warmup: 0.2, warmup_shape, ..ScheduleConfig::default() }
    }

    #[test]
    fn linear_ramps_up_and_falls_to_zero() {
        let expected = [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0];
        assert_eq!(curve(&with(ScheduleShape::Linear, WarmupShape::Ramp)), expected);
    }

    #[test]
    fn berts_ramp_ends_with_a_step_down() {
        let expected = [0.0, 0.5, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0];
        assert_eq!(curve(&with(ScheduleShape::Linear, WarmupShape::Bert)), expected);
    }

    #[test]
    fn electras_product_never_reaches_the_peak() {
        let expected = [0.0, 0.45, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0];
        assert_eq!(curve(&with(ScheduleShape::Polynomial, WarmupShape::Product)), expected);
    }

    #[test]
    fn the_other_shapes() {
        let cosine = ScheduleConfig {
            warmup: 0.0,
            floor: 0.1,
            ..with(ScheduleShape::Cosine, WarmupShape::Ramp)
        };
        assert_eq!(
            curve(&cosine),
            [1.0, 0.978, 0.914, 0.815, 0.689, 0.55, 0.411, 0.285, 0.186, 0.122, 0.1]
        );

        let stable = ScheduleConfig { decay: 0.4, ..with(ScheduleShape::Wsd, WarmupShape::Ramp) };
        assert_eq!(curve(&stable), [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]);

        let root = with(ScheduleShape::InverseSqrt, WarmupShape::Ramp);
        assert_eq!(
            curve(&root),
            [0.0, 0.5, 1.0, 0.816, 0.707, 0.632, 0.577, 0.535, 0.5, 0.471, 0.447]
        );

        let constant = with(ScheduleShape::Constant, WarmupShape::Ramp);
        assert_eq!(curve(&constant), [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);

        let square = ScheduleConfig {
            warmup: 0.0,
            power: 2.0,
            ..with(ScheduleShape::Polynomial, WarmupShape::Ramp)
        };
        assert_eq!(curve(&square)[5], 0.25);
    }

    #[test]
    fn a_spent_budget_is_not_overrun() {
        assert_eq!(with(ScheduleShape::Linear, WarmupShape::Ramp).factor(1.7), 0.0);
    }
}
