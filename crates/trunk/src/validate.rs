//! Which shapes an encoder can have.

use crate::config::{EncoderConfig, NormPlacement, PositionEmbedding};
use crate::sharing::Sharing;

/// A value that no encoder can be built from.
#[derive(Debug, thiserror::Error)]
#[error("encoder.{field} = {value}: {reason}")]
pub struct ConfigError {
    field: &'static str,
    value: String,
    reason: String,
}

impl EncoderConfig {
    /// Checks that the values fit together.
    ///
    /// # Errors
    /// Names the first field that cannot be, its value, and what it should be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let error = |field, value: &dyn ToString, reason: &str| {
            Err(ConfigError { field, value: value.to_string(), reason: reason.to_owned() })
        };
        for (field, value) in [
            ("hidden", self.hidden),
            ("layers", self.layers),
            ("heads", self.heads),
            ("feed_forward", self.feed_forward),
            ("global_attention_every", self.global_attention_every),
        ] {
            if value == 0 {
                return error(field, &value, "must be at least 1");
            }
        }

        if !self.hidden.is_multiple_of(self.heads) {
            return error(
                "heads",
                &self.heads,
                &format!("must divide encoder.hidden = {}", self.hidden),
            );
        }
        if self.heads > 256 {
            return error("heads", &self.heads, "must be at most 256");
        }

        // The draws of dropped attention weights are counted for 4,096 queries and keys.
        let most = if self.attention_dropout > 0.0 { 4096 } else { 65_536 };
        if !(2..=most).contains(&self.positions) {
            let with = if most == 4096 { " with encoder.attention_dropout" } else { "" };
            let reason = format!("must be between 2 and {most}{with}");
            return error("positions", &self.positions, &reason);
        }

        for (field, rate) in
            [("dropout", self.dropout), ("attention_dropout", self.attention_dropout)]
        {
            if !(0.0..1.0).contains(&rate) {
                return error(field, &rate, "must be at least 0 and below 1");
            }
        }

        if !(self.norm_epsilon > 0.0 && self.norm_epsilon < 1.0) {
            return error("norm_epsilon", &self.norm_epsilon, "must be above 0 and below 1");
        }
        if !(self.initializer_range > 0.0 && self.initializer_range <= 1.0) {
            return error(
                "initializer_range",
                &self.initializer_range,
                "must be above 0 and at most 1",
            );
        }

        if let Some(reason) = self.sharing_fault() {
            return error("sharing", &self.sharing, &reason);
        }
        self.validate_attention()
    }

    /// Checks what decides how attention sees positions, and its norms.
    fn validate_attention(&self) -> Result<(), ConfigError> {
        let error = |field, value: &dyn ToString, reason: &str| {
            Err(ConfigError { field, value: value.to_string(), reason: reason.to_owned() })
        };

        if self.position_embedding == PositionEmbedding::Rotary {
            if !(self.hidden / self.heads).is_multiple_of(2) {
                let reason = "rotary positions turn pairs: hidden / heads must be even";
                return error("heads", &self.heads, reason);
            }
            if self.position_offset > 0 {
                let reason = "must be 0 with rotary positions, which have no table";
                return error("position_offset", &self.position_offset, reason);
            }
        }
        for (field, base) in
            [("rotary_base", self.rotary_base), ("local_rotary_base", self.local_rotary_base)]
        {
            if !(base > 1.0 && base.is_finite()) {
                return error(field, &base, "must be above 1");
            }
        }

        if !self.local_attention.is_multiple_of(2) {
            let reason = "must be even, half to each side; 0: no window";
            return error("local_attention", &self.local_attention, reason);
        }

        let shares_first = self.sharing.distinct(self.layers).0 < self.layers;
        if !self.first_norm && (self.norm == NormPlacement::Post || shares_first) {
            let reason = "needs norm = \"pre\" and a first layer that shares its attention with no \
                          other";
            return error("first_norm", &self.first_norm, reason);
        }
        Ok(())
    }

    /// Why the layers cannot be shared as they should.
    fn sharing_fault(&self) -> Option<String> {
        let Sharing::Groups { groups, inner } = self.sharing else { return None };
        let are_whole_sets = inner > 0 && self.layers.is_multiple_of(inner);
        let fits = are_whole_sets && (1..=self.layers / inner).contains(&groups);
        let layers = self.layers;
        (!fits).then(|| {
            format!("{layers} layers must be a whole number of sets, and no fewer than the groups")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_each_wrong_value_is_named() {
        EncoderConfig::default().validate().expect("the default is valid");
        let message = |change: fn(&mut EncoderConfig)| {
            let mut config = EncoderConfig::default();
            change(&mut config);
            config.validate().expect_err("invalid").to_string()
        };
        assert_eq!(message(|c| c.heads = 3), "encoder.heads = 3: must divide encoder.hidden = 128");
        assert_eq!(message(|c| c.layers = 0), "encoder.layers = 0: must be at least 1");
        assert_eq!(
            message(|c| c.dropout = 1.0),
            "encoder.dropout = 1: must be at least 0 and below 1"
        );
        assert!(
            message(|c| c.sharing = Sharing::Groups { groups: 5, inner: 1 })
                .starts_with("encoder.sharing = groups:5")
        );
        assert!(message(|c| c.norm_epsilon = f64::NAN).starts_with("encoder.norm_epsilon"));
        assert_eq!(
            message(|c| c.positions = 8192),
            "encoder.positions = 8192: must be between 2 and 4096 with encoder.attention_dropout"
        );
        assert!(message(|c| c.local_attention = 7).starts_with("encoder.local_attention = 7"));
        assert!(message(|c| c.first_norm = false).starts_with("encoder.first_norm = false: needs"));

        let rotary = |c: &mut EncoderConfig| c.position_embedding = PositionEmbedding::Rotary;
        let mut odd = EncoderConfig { hidden: 6, heads: 2, ..EncoderConfig::default() };
        rotary(&mut odd);
        let error = odd.validate().expect_err("heads of three elements").to_string();
        assert_eq!(
            error,
            "encoder.heads = 2: rotary positions turn pairs: hidden / heads must be even"
        );
    }
}
