//! Normalisation of answers, as in SQuAD's evaluation scripts.

/// An answer in lower case, without ASCII punctuation and the words a, an and the, with one space
/// between words (`normalize_answer` of the official scripts, the same for 1.1 and 2.0).
pub fn normalize(text: &str) -> String {
    words(text).join(" ")
}

/// The words of the normalised text.
pub fn words(text: &str) -> Vec<String> {
    let lower: String =
        text.to_lowercase().chars().filter(|letter| !letter.is_ascii_punctuation()).collect();

    let mut kept = String::with_capacity(lower.len());
    let mut rest = lower.as_str();
    // An article that touches no letter or digit becomes a space: `the—end` becomes `—end`.
    while let Some(first) = rest.chars().next() {
        let inside = |letter: char| letter.is_alphanumeric() == first.is_alphanumeric();
        let (run, later) = rest.split_at(rest.find(|letter| !inside(letter)).unwrap_or(rest.len()));
        kept.push_str(if matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = later;
    }

    kept.split(is_space).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether Python's `str.split` splits at a character: at the white space of Unicode and four
/// control characters.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_punctuation_articles_and_space_do_not_count() {
        assert_eq!(normalize(" The  Cat's\ta-b, (AN)  end. "), "cats ab end");
        assert_eq!(normalize("a the an"), "");
        assert_eq!(normalize("Theory of anatomy"), "theory of anatomy");
    }

    #[test]
    fn only_ascii_punctuation_is_deleted() {
        assert_eq!(
            normalize("\u{201c}the\u{201d}\u{2014}a\u{2013}b"),
            "\u{201c} \u{201d}\u{2014} \u{2013}b"
        );
        assert_eq!(normalize("$5_6"), "56");
        // Deleting the hyphen joins before articles are looked for.
        assert_eq!(normalize("a-n a.b"), "ab");
    }
}
