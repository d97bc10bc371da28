//! The location of an answer in its context.

use std::ops::Range;

/// The location of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Location {
    /// At the stated position.
    AsStated(Range<usize>),
    /// Elsewhere: the occurrence nearest to the stated position, the earlier of two equally near.
    Nearest(Range<usize>),
    /// Not in the context.
    Nowhere,
}

/// Finds an answer that begins at the character `stated` of the context, or elsewhere. The range is
/// in bytes, without white space at the answer's ends.
pub fn locate(context: &str, answer: &str, stated: i64) -> Location {
    let text = answer.trim();
    if text.is_empty() {
        return Location::Nowhere;
    }

    let start = usize::try_from(stated).unwrap_or(0);
    let byte = context.char_indices().nth(start).map_or(context.len(), |(byte, _)| byte);
    if stated >= 0 && context[byte..].starts_with(answer) {
        let start = byte + answer.len() - answer.trim_start().len();
        return Location::AsStated(start..start + text.len());
    }

    match occurrences(context, text).min_by_key(|start| start.abs_diff(byte)) {
        Some(start) => Location::Nearest(start..start + text.len()),
        None => Location::Nowhere,
    }
}

/// The beginnings of all occurrences of a text in the context; they may overlap.
fn occurrences<'a>(context: &'a str, text: &'a str) -> impl Iterator<Item = usize> + use<'a> {
    context.char_indices().map(|(at, _)| at).filter(move |at| context[*at..].starts_with(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stated_positions_are_characters_and_ranges_bytes() {
        let context = "Zoë Ünal née Čech";
        assert_eq!(locate(context, "née", 9), Location::AsStated(11..15));
        assert_eq!(&context[11..15], "née");
        assert_eq!(locate(context, " née ", 8), Location::AsStated(11..15));
    }

    #[test]
    fn an_answer_elsewhere_is_found_at_the_nearest_occurrence() {
        assert_eq!(locate("aba aba aba", "aba", 5), Location::Nearest(4..7));
        assert_eq!(locate("aba aba aba", "aba", 99), Location::Nearest(8..11));
        assert_eq!(locate("ab ab", "ab", 6), Location::Nearest(3..5));
        assert_eq!(locate("aaab", "aab", 0), Location::Nearest(1..4));
        assert_eq!(locate("aba aba", "aba", -1), Location::Nearest(0..3));
        // Two occurrences are equally near: the earlier.
        assert_eq!(locate("x..x", "x", 1), Location::Nearest(0..1));
        assert_eq!(locate("a b c", "b ", 0), Location::Nearest(2..3));
    }

    #[test]
    fn an_answer_that_is_not_there_is_nowhere() {
        assert_eq!(locate("abc", "d", 0), Location::Nowhere);
        assert_eq!(locate("abc", " ", 0), Location::Nowhere);
    }
}
