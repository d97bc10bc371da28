//! Where an answer stands in its context.

use std::ops::Range;

/// The place of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it was said to be.
    AsSaid(Range<usize>),
    /// Elsewhere: the occurrence whose beginning is nearest, of two as near the earlier.
    Nearest(Range<usize>),
    /// Nowhere.
    Nowhere,
}

/// Finds an answer that is said to begin at a character of the context; the range is in bytes,
/// without white space at the answer's ends.
pub fn place(context: &str, answer: &str, said: usize) -> Place {
    let text = answer.trim();
    if text.is_empty() {
        return Place::Nowhere;
    }
    let byte = context.char_indices().nth(said).map_or(context.len(), |(byte, _)| byte);
    if context[byte..].starts_with(answer) {
        let start = byte + answer.len() - answer.trim_start().len();
        return Place::AsSaid(start..start + text.len());
    }
    match occurrences(context, text).min_by_key(|start| start.abs_diff(byte)) {
        Some(start) => Place::Nearest(start..start + text.len()),
        None => Place::Nowhere,
    }
}

/// Where a text begins in the context, overlapping or not.
fn occurrences<'a>(context: &'a str, text: &'a str) -> impl Iterator<Item = usize> + use<'a> {
    context.char_indices().map(|(at, _)| at).filter(move |at| context[*at..].starts_with(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_characters_and_ranges_bytes() {
        let context = "Zoë Ünal née Čech";
        assert_eq!(place(context, "née", 9), Place::AsSaid(11..15));
        assert_eq!(&context[11..15], "née");
        assert_eq!(place(context, " née ", 8), Place::AsSaid(11..15));
    }

    #[test]
    fn an_answer_elsewhere_is_found_at_the_nearest_place() {
        assert_eq!(place("aba aba aba", "aba", 5), Place::Nearest(4..7));
        assert_eq!(place("aba aba aba", "aba", 99), Place::Nearest(8..11));
        assert_eq!(place("ab ab", "ab", 6), Place::Nearest(3..5));
        assert_eq!(place("aaab", "aab", 0), Place::Nearest(1..4));
        // As near on both sides: the earlier.
        assert_eq!(place("x..x", "x", 1), Place::Nearest(0..1));
        assert_eq!(place("a b c", "b ", 0), Place::Nearest(2..3));
    }

    #[test]
    fn an_answer_that_is_not_there_is_nowhere() {
        assert_eq!(place("abc", "d", 0), Place::Nowhere);
        assert_eq!(place("abc", " ", 0), Place::Nowhere);
    }
}
