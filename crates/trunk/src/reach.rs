//! How far each layer sees, and by which angles it turns queries and keys.

use kernels::Rotary;

use crate::config::{EncoderConfig, PositionEmbedding};

/// How far a layer sees, and by which angles it turns queries and keys.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The largest distance of a token that is seen; none: any.
    pub window: Option<u32>,
    /// Of rotary positions.
    pub rotary: Option<Rotary>,
}

/// The reaches of all layers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reaches {
    global: Reach,
    local: Reach,
    /// For each layer whether it has local attention.
    is_local: Vec<bool>,
}

impl EncoderConfig {
    /// The largest distance that layer number `layer` sees; none: any.
    pub fn window(&self, layer: usize) -> Option<usize> {
        let is_global = layer.is_multiple_of(self.global_attention_every);
        (self.local_attention > 0 && !is_global).then_some(self.local_attention / 2)
    }
}

impl Reaches {
    /// Those that `config` asks for.
    pub fn new(config: &EncoderConfig) -> Self {
        let rotary = |base| match config.position_embedding {
            PositionEmbedding::Absolute => None,
            PositionEmbedding::Rotary => {
                Some(Rotary::new(config.hidden / config.heads, config.positions, base))
            }
        };
        let window = Some(config.local_attention as u32 / 2);
        Self {
            global: Reach { window: None, rotary: rotary(config.rotary_base) },
            local: Reach { window, rotary: rotary(config.local_rotary_base) },
            is_local: (0..config.layers).map(|layer| config.window(layer).is_some()).collect(),
        }
    }

    /// That of layer number `layer`.
    pub fn of(&self, layer: usize) -> &Reach {
        if self.is_local[layer] { &self.local } else { &self.global }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_layer_of_three_sees_everything() {
        let config = EncoderConfig {
            layers: 5,
            position_embedding: PositionEmbedding::Rotary,
            rotary_base: 160_000.0,
            local_attention: 128,
            ..EncoderConfig::default()
        };
        let reaches = Reaches::new(&config);
        let windows: Vec<_> = (0..5).map(|layer| reaches.of(layer).window).collect();
        assert_eq!(windows, [None, Some(64), Some(64), None, Some(64)]);
        assert_ne!(reaches.of(0).rotary, reaches.of(1).rotary);
        assert_eq!(reaches.of(0).rotary, reaches.of(3).rotary);

        let all = Reaches::new(&EncoderConfig { local_attention: 0, ..config });
        assert!((0..5).all(|layer| all.of(layer).window.is_none()));
        let table = Reaches::new(&EncoderConfig::default());
        assert!(table.of(1).rotary.is_none());
    }
}
