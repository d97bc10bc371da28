//! How a family of encoders joins two texts.

use corpus::Specials;

/// How a family of encoders joins two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[CLS] first [SEP] second [SEP]`, in segments 0 and 1; the first separator belongs to
    /// segment 0 (BERT, ALBERT, ELECTRA).
    Bert,
    /// `<s> first </s></s> second </s>`, all in segment 0 (RoBERTa).
    Roberta,
}

/// Two texts, joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Segment of each token.
    pub segments: Vec<u32>,
    /// The position at which the second text begins.
    pub second: usize,
}

impl Layout {
    /// The number of special tokens around two texts.
    pub fn specials(self) -> usize {
        match self {
            Self::Bert => 3,
            Self::Roberta => 4,
        }
    }

    /// Joins two texts.
    pub fn join(self, specials: &Specials, first: &[u32], second: &[u32]) -> Joined {
        let between: &[u32] = match self {
            Self::Bert => &[specials.sep],
            Self::Roberta => &[specials.sep, specials.sep],
        };
        let tokens = [&[specials.cls], first, between, second, &[specials.sep]].concat();
        let begin = 1 + first.len() + between.len();

        let second_segment = match self {
            Self::Bert => 1,
            Self::Roberta => 0,
        };
        let segment_of = |position| if position < begin { 0 } else { second_segment };
        let segments = (0..tokens.len()).map(segment_of).collect();
        Joined { tokens, segments, second: begin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIALS: Specials = Specials { cls: 101, sep: 102, pad: 0, unk: 100, mask: 103 };

    #[test]
    fn each_family_joins_in_its_way() {
        let bert = Layout::Bert.join(&SPECIALS, &[1, 2], &[3]);
        assert_eq!(
            (bert.tokens, bert.segments),
            (vec![101, 1, 2, 102, 3, 102], vec![0, 0, 0, 0, 1, 1])
        );
        assert_eq!(bert.second, 4);

        let roberta = Layout::Roberta.join(&SPECIALS, &[1, 2], &[3]);
        assert_eq!(
            (roberta.tokens, roberta.segments),
            (vec![101, 1, 2, 102, 102, 3, 102], vec![0; 7])
        );
        assert_eq!(roberta.second, 5);
    }

    #[test]
    fn the_count_of_special_tokens_is_that_of_an_empty_pair() {
        for layout in [Layout::Bert, Layout::Roberta] {
            assert_eq!(layout.join(&SPECIALS, &[], &[]).tokens.len(), layout.specials());
        }
    }
}
