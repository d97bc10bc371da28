//! Whole sentences of a passage: where they end, and segments that consist of them.

use std::ops::Range;

use corpus::Passage;

use crate::layout::Segment;

/// Where the sentences of a passage end.
pub fn sentence_ends(passage: &Passage) -> impl Iterator<Item = usize> {
    passage.sentence_starts[1..].iter().map(|start| *start as usize).chain([passage.tokens.len()])
}

/// The first sentences of a passage with at least `wanted` tokens, or the whole passage where it is
/// shorter.
pub fn first_sentences(passage: &Passage, wanted: usize) -> Segment {
    let end = sentence_ends(passage).find(|end| *end >= wanted);
    Segment::of(passage, 0, end.unwrap_or(passage.tokens.len()))
}

/// The run of whole sentences whose length is nearest to `wanted`.
pub fn nearest_run(passage: &Passage, wanted: usize) -> Range<usize> {
    let starts = passage.sentence_starts.iter().map(|start| *start as usize);
    let runs = starts.flat_map(|start| {
        let ends = sentence_ends(passage).filter(move |end| *end > start);
        ends.map(move |end| start..end)
    });

    runs.min_by_key(|run| run.len().abs_diff(wanted)).expect("a passage has a sentence")
}
