//! Sentence boundaries: Unicode's rules, corrected for common English abbreviations and initials.

use unicode_segmentation::UnicodeSegmentation;

/// Words that end in a full stop without ending a sentence.
const ABBREVIATIONS: [&str; 24] = [
    "mr", "mrs", "ms", "dr", "prof", "rev", "st", "sr", "jr", "gen", "col", "capt", "lt", "sgt",
    "hon", "messrs", "e.g", "i.e", "cf", "vs", "no", "vol", "pp", "fig",
];

/// The sentences of a paragraph as byte ranges, without the white space around them. Everything
/// but that white space belongs to a sentence.
pub fn sentences(paragraph: &str) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    let mut joins = false;

    for (start, text) in paragraph.split_sentence_bound_indices() {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            continue;
        }

        let begin = start + (text.len() - text.trim_start().len());
        let end = begin + trimmed.len();
        match found.last_mut() {
            Some(last) if joins => last.end = end,
            _ => found.push(begin..end),
        }
        joins = ends_in_abbreviation(trimmed);
    }

    found
}

fn ends_in_abbreviation(sentence: &str) -> bool {
    let Some(stem) = sentence.strip_suffix('.') else { return false };
    let word = stem.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or(stem);
    let mut letters = word.chars();
    // A capital alone is an initial, except "I", which is a word.
    let initial =
        letters.next().is_some_and(|c| c.is_uppercase() && c != 'I') && letters.next().is_none();
    initial || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn full_stops_questions_and_quotations_end_sentences() {
        assert_eq!(
            split("It rained. Why? \"Go,\" she said. "),
            ["It rained.", "Why?", "\"Go,\" she said."]
        );
        assert_eq!(split("No stop at the end"), ["No stop at the end"]);
        assert!(split("   ").is_empty());
    }

    #[test]
    fn abbreviations_and_initials_do_not() {
        assert_eq!(
            split("Mr. Hill met J. K. Stone. They spoke."),
            ["Mr. Hill met J. K. Stone.", "They spoke."]
        );
        assert_eq!(split("See e.g. Berlin. It is big."), ["See e.g. Berlin.", "It is big."]);
        assert_eq!(split("So did I. Then he left."), ["So did I.", "Then he left."]);
    }

    #[test]
    fn other_scripts_have_their_own_stops() {
        assert_eq!(split("雨が降った。風も吹いた。"), ["雨が降った。", "風も吹いた。"]);
    }
}
