//! The `[objective]` table of replaced-token detection.

use ::objective::Error;
use mlm::{Family, Masking};
use serde::{Deserialize, Deserializer, Serialize};
use trunk::EncoderConfig;

/// The `[objective]` table of replaced-token detection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RtdConfig {
    /// What the encoder learns from the samples.
    pub variant: Variant,
    /// Where the samples come from.
    pub generator: GeneratorConfig,
    /// What the generator's loss is multiplied with. ELECTRA: 1.
    pub generator_weight: f64,
    /// What the encoder's loss is multiplied with. Left out: ELECTRA's 50 where tokens are told
    /// apart, 1 where they are predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder_weight: Option<f64>,
    /// As in the authors' code: positions with replacement, the average of the ids where one has
    /// two samples, and a uniform generator that writes special tokens too.
    pub compat: bool,
    /// Where training samples: the family is `electra` where none is named.
    #[serde(deserialize_with = "electra")]
    pub masking: Masking,
    /// Where evaluation samples: the family is `electra` where none is named.
    #[serde(deserialize_with = "electra")]
    pub evaluation: Masking,
}

/// What the encoder learns from the samples (table 5 of the paper).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Which of all tokens were replaced.
    #[default]
    Electra,
    /// Which of the tokens at the chosen positions were replaced.
    #[serde(rename = "electra-15")]
    Electra15,
    /// The original tokens at the chosen positions.
    ReplaceMlm,
    /// The original of every token, with a gate that copies the input.
    AllTokensMlm,
}

impl Variant {
    /// Whether the encoder tells replaced tokens from originals.
    pub fn is_detector(self) -> bool {
        matches!(self, Self::Electra | Self::Electra15)
    }
}

/// Where samples come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorConfig {
    /// What draws them.
    pub kind: GeneratorKind,
    /// Its width as a share of the encoder's. ELECTRA: 1/4, 1/3, 1/4 for small, base, large.
    pub size: f64,
    /// Its layers as a share of the encoder's. ELECTRA: 1.
    pub layers: f64,
    /// What it shares with the encoder.
    pub tying: Tying,
    /// Not trained: the second stage of the two-stage variant.
    pub frozen: bool,
    /// What its logits are divided by before sampling.
    pub temperature: f64,
    /// Never sample the original (ELECTRA's `disallow_correct`).
    pub disallow_correct: bool,
}

/// What draws samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GeneratorKind {
    /// A masked language model that is trained along.
    #[default]
    Model,
    /// The tokens' frequencies in the training text.
    Unigram,
    /// Every token that is not special alike; with `compat` every token.
    Uniform,
}

/// What generator and encoder share (section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tying {
    /// Token, position and segment tables and their norm, as in the authors' code.
    #[default]
    Embeddings,
    /// The token table.
    Tokens,
    /// Nothing.
    None,
    /// Token and position tables, to which the encoder adds tables of its own that start at zero;
    /// its loss does not reach the generator's (gradient-disentangled embedding sharing, DeBERTaV3;
    /// He et al. 2021, section 3.2).
    Disentangled,
    /// Everything but the heads; needs a generator of the encoder's size.
    All,
}

impl Default for RtdConfig {
    fn default() -> Self {
        Self {
            variant: Variant::default(),
            generator: GeneratorConfig::default(),
            generator_weight: 1.0,
            encoder_weight: None,
            compat: false,
            masking: Masking::of(Family::Electra),
            evaluation: Masking::of(Family::Electra),
        }
    }
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            kind: GeneratorKind::Model,
            size: 0.25,
            layers: 1.0,
            tying: Tying::Embeddings,
            frozen: false,
            temperature: 1.0,
            disallow_correct: false,
        }
    }
}

impl RtdConfig {
    /// What the encoder's loss is multiplied with.
    pub fn encoder_weight(&self) -> f64 {
        self.encoder_weight.unwrap_or(match self.variant {
            Variant::Electra | Variant::Electra15 => 50.0,
            Variant::ReplaceMlm | Variant::AllTokensMlm => 1.0,
        })
    }

    /// Checks that the values fit together.
    ///
    /// # Errors
    /// Names the first that does not, and what it should be.
    pub fn validate(&self) -> Result<(), Error> {
        self.generator.validate()?;
        self.validate_weights()?;
        self.generator.validate_combinations()
    }

    fn validate_weights(&self) -> Result<(), Error> {
        let is_weight = |value: f64| value >= 0.0 && value.is_finite();
        let weights = [
            ("generator_weight", self.generator_weight),
            ("encoder_weight", self.encoder_weight()),
        ];
        match weights.into_iter().find(|(_, value)| !is_weight(*value)) {
            Some((knob, value)) => Err(Error(format!("{knob} = {value}: must be at least 0"))),
            None => Ok(()),
        }
    }
}

impl GeneratorConfig {
    fn validate(&self) -> Result<(), Error> {
        for (knob, share) in [("size", self.size), ("layers", self.layers)] {
            if !(share > 0.0 && share <= 1.0) {
                let message = format!("generator.{knob} = {share}: must be above 0 and at most 1");
                return Err(Error(message));
            }
        }

        let temperature = self.temperature;
        if !(temperature > 0.0 && temperature.is_finite()) {
            let message = format!("generator.temperature = {temperature}: must be above 0");
            return Err(Error(message));
        }
        Ok(())
    }

    fn validate_combinations(&self) -> Result<(), Error> {
        let has_encoders_size = self.size == 1.0 && self.layers == 1.0;
        let wrong = [
            (
                self.tying == Tying::All && !has_encoders_size,
                "generator.tying = \"all\": needs generator.size = 1.0 and generator.layers = 1.0",
            ),
            (
                self.frozen && self.tying != Tying::None,
                "generator.frozen: what the encoder shares with it would be trained; write \
                 generator.tying = \"none\"",
            ),
            (
                self.disallow_correct && self.kind != GeneratorKind::Model,
                "generator.disallow_correct: needs generator.kind = \"model\"",
            ),
        ];

        match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, message)) => Err(Error(message.to_owned())),
            None => Ok(()),
        }
    }

    /// The generator's shape beside an encoder: width and layers are rounded, a head is 64 wide
    /// where it can be (the authors' rule), the inner width four times the width.
    pub fn shape(&self, encoder: &EncoderConfig) -> EncoderConfig {
        if self.tying == Tying::All {
            return encoder.clone();
        }

        let round = |share: f64, of: usize| ((share * of as f64).round() as usize).max(1);
        let hidden = round(self.size, encoder.hidden);
        let heads = (1..=(hidden / 64).max(1))
            .rev()
            .find(|heads| hidden.is_multiple_of(*heads))
            .unwrap_or(1);

        EncoderConfig {
            hidden,
            embedding: encoder.embedding_width(),
            layers: round(self.layers, encoder.layers),
            heads: if self.size == 1.0 { encoder.heads } else { heads },
            feed_forward: if self.size == 1.0 { encoder.feed_forward } else { 4 * hidden },
            ..encoder.clone()
        }
    }
}

fn electra<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Masking, D::Error> {
    Masking::deserialize_from(Family::Electra, deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_generators_have_their_shapes() {
        let shape = |hidden: usize, layers: usize, size: f64| {
            let encoder =
                EncoderConfig { hidden, layers, embedding: 128, ..EncoderConfig::default() };
            let shape = GeneratorConfig { size, ..GeneratorConfig::default() }.shape(&encoder);
            (shape.hidden, shape.heads, shape.feed_forward, shape.layers)
        };
        assert_eq!(shape(256, 12, 0.25), (64, 1, 256, 12));
        assert_eq!(shape(768, 12, 1.0 / 3.0), (256, 4, 1024, 12));
        assert_eq!(shape(1024, 24, 0.25), (256, 4, 1024, 24));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let message = |text: &str| {
            let config: RtdConfig = toml::from_str(text).expect("a table");
            config.validate().expect_err("refused").to_string()
        };
        assert!(message("generator.size = 0.0").starts_with("objective.generator.size = 0: must"));
        assert!(message("generator.tying = \"all\"").contains("needs generator.size = 1.0"));
        assert!(message("generator.frozen = true").contains("tying = \"none\""));
        RtdConfig::default().validate().expect("the defaults fit");
    }
}
