//! The shape of a student that is told none.

use trunk::{EmbeddingProjection, EncoderConfig, Sharing};

/// DistilBERT's: half of the layers, and no segments (Sanh et al. 2019, section 3). A RoBERTa stays
/// one.
pub fn distilbert(teacher: &EncoderConfig) -> EncoderConfig {
    let segments = if teacher.position_offset > 0 { teacher.segments } else { 0 };
    EncoderConfig { layers: teacher.layers.div_ceil(2), segments, ..teacher.clone() }
}

/// TinyBERT's: a third of the layers, or where these cannot be spread over the teacher's, the next
/// fewer that can; two fifths of the width, with as many heads; four times as much within the
/// feed-forward network (Jiao et al. 2020: 4 layers of 312 for 12 of 768).
pub fn tinybert(teacher: &EncoderConfig) -> EncoderConfig {
    let most = teacher.layers.div_ceil(3);
    let layers =
        (1..=most).rev().find(|layers| teacher.layers.is_multiple_of(*layers)).unwrap_or(1);

    let of_head = ((0.4 * teacher.hidden as f64 / teacher.heads as f64).round() as usize).max(1);
    let hidden = of_head * teacher.heads;

    EncoderConfig {
        layers,
        hidden,
        embedding: 0,
        embedding_projection: EmbeddingProjection::Auto,
        feed_forward: 4 * hidden,
        sharing: Sharing::None,
        ..teacher.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_of_bert_base_are_those_of_the_papers() {
        let base = EncoderConfig {
            hidden: 768,
            layers: 12,
            heads: 12,
            feed_forward: 3072,
            ..EncoderConfig::default()
        };
        let (distilled, tiny) = (distilbert(&base), tinybert(&base));
        assert_eq!((distilled.layers, distilled.hidden, distilled.segments), (6, 768, 0));
        assert_eq!((tiny.layers, tiny.hidden, tiny.heads), (4, 312, 12));

        let five = EncoderConfig { layers: 5, ..base };
        assert_eq!((distilbert(&five).layers, tinybert(&five).layers), (3, 1));
    }
}
