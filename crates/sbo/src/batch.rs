//! Masked spans and their boundaries.

use mlm::{
    DocumentEdges, Laid, LaidPairs, MaskInput, Masked, Masker, Maskers, MlmBatch, Pairing, Target,
};
use objective::{Example, Purpose};

/// A masked span whose boundary tokens are not special, by flat positions (row * len + position).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The token before it.
    pub left: u32,
    /// The token after it.
    pub right: u32,
}

/// A batch of sequences with masked spans.
#[derive(Clone, Debug, PartialEq)]
pub struct SboBatch {
    /// The sequences and what is masked in them.
    pub mlm: MlmBatch,
    /// Spans with a boundary loss, in ascending order.
    pub spans: Vec<Span>,
    /// Most tokens of a span that the boundary predicts.
    pub max_offset: usize,
    /// What the batch is for.
    pub purpose: Purpose,
    /// Sequences whose pair is asked about, in ascending order.
    pub rows: Vec<u32>,
    /// The right answer for each sequence of `rows`: 0 the next segment, 1 one of another document.
    pub pair_labels: Vec<u32>,
}

/// The tokens predicted from boundaries: for each the two boundary tokens, its offset in the span,
/// and itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boundary {
    /// Position of the token before the span.
    pub left: Vec<u32>,
    /// Position of the token after the span.
    pub right: Vec<u32>,
    /// 0 for the span's first token.
    pub offsets: Vec<u32>,
    /// The token.
    pub labels: Vec<u32>,
}

impl SboBatch {
    /// Every token that a boundary predicts.
    pub fn boundary(&self) -> Boundary {
        let mut boundary = Boundary::default();
        for span in &self.spans {
            let first = self.mlm.positions.partition_point(|flat| *flat <= span.left);
            let count = ((span.right - span.left - 1) as usize).min(self.max_offset);
            for offset in 0..count {
                boundary.left.push(span.left);
                boundary.right.push(span.right);
                boundary.offsets.push(offset as u32);
                boundary.labels.push(self.mlm.labels[first + offset]);
            }
        }
        boundary
    }

    /// How many tokens boundaries predict.
    pub fn boundary_targets(&self) -> usize {
        self.spans
            .iter()
            .map(|span| ((span.right - span.left - 1) as usize).min(self.max_offset))
            .sum()
    }
}

/// Masks sequences, which are pairs where there is a pairing, and finds the spans.
pub fn collate(
    examples: &[Example],
    pairing: Option<Pairing>,
    purpose: Purpose,
    maskers: &Maskers,
    specials: &corpus::Specials,
    max_offset: usize,
) -> SboBatch {
    let LaidPairs { laid, owners, rows, pair_labels } = match pairing {
        Some(pairing) => pairing.lay(examples, purpose, specials),
        None => lay_singles(examples, specials),
    };

    let masker = maskers.of(purpose);
    let masked: Vec<Masked> = laid
        .iter()
        .zip(owners)
        .map(|(laid, example)| mask_segments(laid, example, masker))
        .collect();

    let mlm = MlmBatch::of(&laid, &masked, specials.pad);
    let spans = spans(&mlm, &laid, specials);
    SboBatch { mlm, spans, max_offset, purpose, rows, pair_labels }
}

/// Sequences of one segment, which nothing is asked about.
fn lay_singles<'e>(examples: &'e [Example], specials: &corpus::Specials) -> LaidPairs<'e> {
    let lay =
        |example: &Example| Laid::passage(&example.passage, specials, DocumentEdges::default());
    let laid = examples.iter().map(lay).collect();
    LaidPairs { laid, owners: examples.iter().collect(), ..LaidPairs::default() }
}

/// Masks each segment, special tokens included, with a budget of its own.
fn mask_segments(laid: &Laid, example: &Example, masker: &Masker) -> Masked {
    let mut rng = example.rng("mask");
    let second = laid.segments.partition_point(|segment| *segment == 0);
    let mut whole = Masked { tokens: Vec::new(), targets: Vec::new() };
    for (start, end) in [(0, second), (second, laid.tokens.len())] {
        if start == end {
            continue;
        }

        let (tokens, word_starts) = (&laid.tokens[start..end], &laid.word_starts[start..end]);
        let (spans, progress) = (&laid.spans[start..end], example.progress);
        let row = MaskInput { tokens, word_starts, spans, weights: None, progress };
        let masked = masker.mask(&row, &mut rng);

        let shift = |target: Target| Target { position: target.position + start as u32, ..target };
        whole.tokens.extend(masked.tokens);
        whole.targets.extend(masked.targets.into_iter().map(shift));
    }
    whole
}

/// Runs of masked positions between tokens that are not special.
fn spans(mlm: &MlmBatch, laid: &[Laid], specials: &corpus::Specials) -> Vec<Span> {
    let len = mlm.sequences.len as u32;
    let is_next = |before: &u32, after: &u32| before + 1 == *after && before / len == after / len;

    let mut spans = Vec::new();
    for run in mlm.positions.chunk_by(is_next) {
        let (first, last) = (run[0], run[run.len() - 1]);
        let row = &laid[(first / len) as usize];
        let (start, end) = ((first % len) as usize, (last % len) as usize);
        let plain = |position: Option<usize>| {
            let token = position.and_then(|position| row.tokens.get(position));
            token.is_some_and(|token| *token != specials.cls && *token != specials.sep)
        };

        if plain(start.checked_sub(1)) && plain(Some(end + 1)) {
            spans.push(Span { left: first - 1, right: last + 1 });
        }
    }
    spans
}
