//! How long a run trains.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The `[budget]` table: exactly one of its keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Optimizer steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Tokens, special tokens included, padding not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Times the text is gone through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Floating-point operations of training, of all networks of the objective: three forward
    /// passes a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flops: Option<f64>,
    /// Minutes in the loop, evaluation and checkpoints included, over all sessions of the run. The
    /// only budget under which two runs with the same seed differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: Some(10_000), tokens: None, epochs: None, flops: None, minutes: None }
    }
}

/// What a run has done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BudgetProgress {
    /// Optimizer steps.
    pub step: u64,
    /// Tokens, special tokens included, padding not.
    pub tokens: u64,
    /// Times the text was gone through.
    pub epochs: f64,
    /// Floating-point operations of training.
    pub flops: f64,
    /// Seconds in the loop.
    pub seconds: f64,
}

impl Budget {
    /// Checks that there is one key, above 0.
    ///
    /// # Errors
    /// When there is none, several, or one that is not above 0.
    pub fn validate(&self) -> Result<()> {
        let given = [
            ("steps", self.steps.map(|n| n as f64)),
            ("tokens", self.tokens.map(|n| n as f64)),
            ("epochs", self.epochs),
            ("flops", self.flops),
            ("minutes", self.minutes),
        ];
        let given: Vec<(&str, f64)> =
            given.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();

        match given.as_slice() {
            [(_, value)] if *value > 0.0 && value.is_finite() => Ok(()),
            [(name, value)] => {
                let reason = if *value > 0.0 { "must be finite" } else { "must be above 0" };
                Err(Error::Data(format!("budget.{name} = {value}: {reason}")))
            }
            [] => Err(Error::Data(
                "budget: give one of steps, tokens, epochs, flops, minutes".to_owned(),
            )),
            several => {
                let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
                Err(Error::Data(format!("budget: give one of {}, not several", names.join(", "))))
            }
        }
    }

    /// The share of the budget that is spent; 1 and above when it is used up.
    pub fn fraction(&self, done: &BudgetProgress) -> f64 {
        let share = |budget: Option<f64>, done: f64| budget.map(|budget| done / budget);
        share(self.steps.map(|n| n as f64), done.step as f64)
            .or(share(self.tokens.map(|n| n as f64), done.tokens as f64))
            .or(share(self.epochs, done.epochs))
            .or(share(self.flops, done.flops))
            .or(share(self.minutes, done.seconds / 60.0))
            .unwrap_or(1.0)
    }

    /// Whether `other` is larger, or of another unit.
    pub fn is_exceeded_by(&self, other: &Self) -> bool {
        let units = |budget: &Self| {
            let counts = [budget.steps, budget.tokens].map(|count| count.map(|n| n as f64));
            [counts[0], counts[1], budget.epochs, budget.flops, budget.minutes]
        };
        let pairs = units(self).into_iter().zip(units(other));
        pairs.filter_map(|(own, other)| Some(own? < other?)).all(|is_larger| is_larger)
    }

    /// Whether the budget is used up.
    pub fn exhausted(&self, done: &BudgetProgress) -> bool {
        self.fraction(done) >= 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Budget {
        toml::from_str(text).expect("TOML")
    }

    #[test]
    fn each_unit_counts_its_own_progress() {
        let done = BudgetProgress { step: 5, tokens: 300, epochs: 0.5, flops: 2e9, seconds: 90.0 };
        for (text, fraction) in [
            ("steps = 10", 0.5),
            ("tokens = 400", 0.75),
            ("epochs = 2", 0.25),
            ("flops = 8e9", 0.25),
            ("minutes = 1.5", 1.0),
        ] {
            let budget = read(text);
            budget.validate().expect("valid");
            assert_eq!(budget.fraction(&done), fraction, "{text}");
            assert_eq!(budget.exhausted(&done), fraction >= 1.0);
        }
    }

    #[test]
    fn there_must_be_exactly_one() {
        let error = |text| read(text).validate().expect_err("refused").to_string();
        assert!(error("").contains("give one of steps, tokens, epochs, flops, minutes"));
        assert!(error("steps = 1\nminutes = 2").contains("one of steps, minutes, not several"));
        assert_eq!(error("steps = 0"), "budget.steps = 0: must be above 0");
        assert_eq!(error("minutes = inf"), "budget.minutes = inf: must be finite");
    }
}
