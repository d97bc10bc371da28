//! Sequences with their special tokens.

use corpus::{Passage, Specials};
use objective::Example;

use crate::masking::MaskInput;

/// A sequence with its special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Laid {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Whether a word begins with the token.
    pub word_starts: Vec<bool>,
    /// Segment of each token.
    pub segments: Vec<u32>,
    /// The number of the annotated span that each token is in, counted from 1; 0: none.
    pub spans: Vec<u32>,
    /// The positions of the first tokens of all documents but the first, where documents are
    /// isolated; empty: they are one.
    pub documents: Vec<u32>,
}

/// What stands and what is seen between the documents of a passage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DocumentEdges {
    /// A separator token where another document begins.
    pub separated: bool,
    /// Tokens see no other document than theirs, and positions begin anew in each.
    pub isolated: bool,
}

/// Consecutive tokens without special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Whether a word begins with the token.
    pub word_starts: Vec<bool>,
    /// The number of the annotated span that each token is in, counted from 1; 0: none.
    pub spans: Vec<u32>,
}

impl Laid {
    /// `[CLS] passage [SEP]`, with `edges` where another document begins in it. A separator belongs
    /// to the document before it.
    pub fn passage(passage: &Passage, specials: &Specials, edges: DocumentEdges) -> Self {
        let mut laid = Self::default();
        let spans = span_numbers(passage);

        laid.push(specials.cls, true, 0, 0);
        let mut documents = passage.document_starts.iter().peekable();
        for (i, (token, starts)) in passage.tokens.iter().zip(&passage.word_starts).enumerate() {
            let begins = documents.next_if(|start| **start as usize == i).is_some();
            if begins && edges.separated {
                laid.push(specials.sep, true, 0, 0);
            }
            if begins && edges.isolated {
                laid.documents.push(laid.tokens.len() as u32);
            }
            laid.push(*token, *starts || i == 0, 0, spans[i]);
        }
        laid.push(specials.sep, true, 0, 0);
        laid
    }

    /// `[CLS] first [SEP] second [SEP]`; without a second segment `[CLS] first [SEP]`. The first
    /// separator belongs to segment 0.
    pub fn pair(first: &Segment, second: Option<&Segment>, specials: &Specials) -> Self {
        let mut laid = Self::default();
        laid.push(specials.cls, true, 0, 0);
        for (number, segment) in [Some(first), second].into_iter().flatten().enumerate() {
            for (i, (token, starts)) in segment.tokens.iter().zip(&segment.word_starts).enumerate()
            {
                laid.push(*token, *starts || i == 0, number as u32, segment.spans[i]);
            }
            laid.push(specials.sep, true, number as u32, 0);
        }
        laid
    }

    /// What a masker sees of it in `example`.
    pub fn row<'a>(&'a self, example: &'a Example) -> MaskInput<'a> {
        let Self { tokens, word_starts, spans, .. } = self;
        let weights = example.token_weights.as_deref();
        MaskInput { tokens, word_starts, spans, weights, progress: example.progress }
    }

    fn push(&mut self, token: u32, word_start: bool, segment: u32, span: u32) {
        self.tokens.push(token);
        self.word_starts.push(word_start);
        self.segments.push(segment);
        self.spans.push(span);
    }
}

impl Segment {
    /// The tokens of a passage from `start` to before `end`.
    pub fn of(passage: &Passage, start: usize, end: usize) -> Self {
        Self {
            tokens: passage.tokens[start..end].to_vec(),
            word_starts: passage.word_starts[start..end].to_vec(),
            spans: span_numbers(passage)[start..end].to_vec(),
        }
    }

    /// How many tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// The number of the annotated span that each token of a passage is in, counted from 1; 0: none.
fn span_numbers(passage: &Passage) -> Vec<u32> {
    let mut numbers = vec![0; passage.tokens.len()];
    for (number, span) in passage.spans.iter().enumerate() {
        numbers[span.start as usize..span.end as usize].fill(number as u32 + 1);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIALS: Specials = Specials { cls: 2, sep: 3, pad: 0, unk: 1, mask: 4 };

    #[test]
    fn the_separator_belongs_to_the_segment_before_it() {
        let segment = |tokens: &[u32]| Segment {
            tokens: tokens.to_vec(),
            word_starts: vec![false; tokens.len()],
            spans: vec![0; tokens.len()],
        };
        let laid = Laid::pair(&segment(&[7, 8]), Some(&segment(&[9])), &SPECIALS);
        assert_eq!(laid.tokens, [2, 7, 8, 3, 9, 3]);
        assert_eq!(laid.segments, [0, 0, 0, 0, 1, 1]);

        assert_eq!(
            laid.word_starts,
            [true, true, false, true, true, true],
            "a segment begins with a word"
        );
        assert_eq!(Laid::pair(&segment(&[7]), None, &SPECIALS).tokens, [2, 7, 3]);
    }

    #[test]
    fn documents_are_separated_and_isolated_if_asked() {
        let words = Passage::of_words(0, vec![7, 8, 9], vec![0, 2]);
        let passage = Passage { document_starts: vec![2], spans: vec![0..1, 1..3], ..words };
        let lay = |separated, isolated| {
            Laid::passage(&passage, &SPECIALS, DocumentEdges { separated, isolated })
        };
        assert_eq!(lay(false, false).tokens, [2, 7, 8, 9, 3]);
        assert_eq!(lay(true, false).tokens, [2, 7, 8, 3, 9, 3]);
        assert_eq!(lay(true, false).spans, [0, 1, 2, 0, 2, 0]);

        let starts = [(false, false), (true, false), (false, true), (true, true)]
            .map(|(separated, isolated)| lay(separated, isolated).documents);
        assert_eq!(starts, [vec![], vec![], vec![3], vec![4]]);
    }
}
