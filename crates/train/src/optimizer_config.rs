//! The `[optimizer]` table.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How weights follow gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay.
    #[default]
    Adamw,
    /// Adam's direction, scaled per tensor by |w| / |update|.
    Lamb,
    /// Steps as large as the root of the mean of squared steps over that of squared gradients;
    /// `beta2` is their decay (Zeiler: 0.95), and the learning rate is about 1.
    Adadelta,
    /// For the matrices of layers the nearest orthogonal matrix to their momentum (Jordan et al.
    /// 2024); AdamW for everything else.
    Muon,
}

/// The `[optimizer]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Which optimizer. BERT, RoBERTa, ELECTRA: AdamW; ALBERT: LAMB.
    pub kind: OptimizerKind,
    /// Peak learning rate. BERT-base: 1e-4; ELECTRA-small: 5e-4.
    pub learning_rate: f64,
    /// Peak learning rate of the matrices of layers with Muon, which is multiplied by the root of
    /// columns by rows for matrices that widen.
    pub matrix_learning_rate: f64,
    /// Decay of the mean of a matrix's gradients with Muon.
    pub momentum: f64,
    /// Newton and Schulz's iterations with Muon.
    pub newton_schulz_steps: usize,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients. RoBERTa: 0.98.
    pub beta2: f64,
    /// Added to the root of the mean of squares.
    pub epsilon: f64,
    /// Decoupled weight decay, multiplied by the learning rate.
    pub weight_decay: f64,
    /// The decay follows the schedule but not the peak of the learning rate: a step of weight_decay
    /// itself at the peak (Wortsman et al. 2023).
    pub independent_decay: bool,
    /// Decay only what the update makes smaller too (Chen et al. 2025).
    pub cautious_decay: bool,
    /// Divide the means by 1 - beta^step. The authors' BERT, ALBERT and ELECTRA do not; PyTorch's
    /// AdamW does.
    pub bias_correction: bool,
    /// Decay biases and norms too, as fairseq does.
    pub decay_all: bool,
    /// Decay of the moving average of the weights, which evaluations, checkpoints and exports then
    /// have instead of the weights themselves; 0: no average. GPT-BERT: 0.999.
    pub average: f64,
    /// Largest norm of the whole gradient; 0: no limit.
    pub clip_norm: f64,
    /// The rate of embeddings and layers is multiplied with this to the power of their distance
    /// from the head, which is n + 2 - depth with the embeddings at depth 0, layer i of n at depth
    /// i and the head at n + 2, as in the authors' ELECTRA (`optimization.py`; 0.8 for small and
    /// base, 0.9 for large). 1: none.
    pub layer_decay: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adamw,
            learning_rate: 1e-4,
            matrix_learning_rate: 0.02,
            momentum: 0.95,
            newton_schulz_steps: 5,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-6,
            weight_decay: 0.01,
            independent_decay: false,
            cautious_decay: false,
            bias_correction: true,
            decay_all: false,
            average: 0.0,
            clip_norm: 1.0,
            layer_decay: 1.0,
        }
    }
}

impl OptimizerConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// Names the first that cannot be.
    pub fn validate(&self) -> Result<()> {
        let in_unit = |value: f64| (0.0..1.0).contains(&value);
        let checks = [
            ("learning_rate", self.learning_rate, self.learning_rate > 0.0, "must be above 0"),
            (
                "matrix_learning_rate",
                self.matrix_learning_rate,
                self.matrix_learning_rate > 0.0,
                "must be above 0",
            ),
            ("momentum", self.momentum, in_unit(self.momentum), "must be at least 0 and below 1"),
            (
                "newton_schulz_steps",
                self.newton_schulz_steps as f64,
                (1..=20).contains(&self.newton_schulz_steps),
                "must be between 1 and 20",
            ),
            ("average", self.average, in_unit(self.average), "must be at least 0 and below 1"),
            ("beta1", self.beta1, in_unit(self.beta1), "must be at least 0 and below 1"),
            ("beta2", self.beta2, in_unit(self.beta2), "must be at least 0 and below 1"),
            ("epsilon", self.epsilon, self.epsilon > 0.0, "must be above 0"),
            ("weight_decay", self.weight_decay, self.weight_decay >= 0.0, "must not be negative"),
            (
                "clip_norm",
                self.clip_norm,
                self.clip_norm >= 0.0,
                "must not be negative; 0 is no limit",
            ),
            (
                "layer_decay",
                self.layer_decay,
                self.layer_decay > 0.0 && self.layer_decay <= 1.0,
                "must be above 0 and at most 1",
            ),
        ];

        let is_adamw = matches!(self.kind, OptimizerKind::Adamw | OptimizerKind::Muon);
        if self.cautious_decay && !is_adamw {
            return Err(Error::Data(
                "optimizer.cautious_decay = true: only adamw and muon have it".to_owned(),
            ));
        }

        match checks.iter().find(|(_, value, good, _)| !(*good && value.is_finite())) {
            Some((name, value, good, reason)) => {
                let reason = if *good { "must be finite" } else { *reason };
                Err(Error::Data(format!("optimizer.{name} = {value}: {reason}")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_values_are_named() {
        let config = OptimizerConfig { beta2: 1.0, ..OptimizerConfig::default() };
        let message = config.validate().expect_err("refused").to_string();
        assert_eq!(message, "optimizer.beta2 = 1: must be at least 0 and below 1");

        let kind = OptimizerKind::Lamb;
        let config = OptimizerConfig { kind, cautious_decay: true, ..OptimizerConfig::default() };
        let message = config.validate().expect_err("refused").to_string();
        assert_eq!(message, "optimizer.cautious_decay = true: only adamw and muon have it");
    }
}
