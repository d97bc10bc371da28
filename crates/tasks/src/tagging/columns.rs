//! Sentences from files with a word on each line: CoNLL-2003, CoNLL-U and their kin.

use std::path::Path;

use super::tagged::{TaggedSentence, TaggedText};
use crate::error::{Error, Result};
use crate::table::MissingLabel;

/// The number of columns of CoNLL-U, which are separated by tabs.
const CONLLU_COLUMNS: usize = 10;

/// Reads the sentences of `text`, which a blank line ends. Columns count from 0; they are separated
/// by tabs, or by spaces in lines without a tab. A no-break space separates nothing.
///
/// Left out and counted are comments (see [`is_comment`]) and, in CoNLL-U, ranges of words such as
/// `3-4` and empty nodes such as `8.1`. Lines with `-DOCSTART-` are left out too.
pub fn read(
    path: &Path,
    text: &str,
    word: usize,
    tag: Option<usize>,
    missing: MissingLabel,
) -> Result<TaggedText> {
    let layout = Layout::of(text);
    let (mut sentences, mut sentence) = (Vec::new(), Open::default());
    let (mut comments, mut ranges) = (0, 0);

    // A blank line after the last line ends the last sentence.
    for (number, written) in text.lines().chain([""]).enumerate() {
        let line = number + 1;
        if written.trim_ascii().is_empty() {
            sentences.extend(std::mem::take(&mut sentence).close());
            continue;
        }
        if written.starts_with("-DOCSTART-") {
            continue;
        }
        if layout.is_comment(written) {
            comments += 1;
            continue;
        }

        let fields = fields_of(written);
        if layout.is_conllu && fields[0].contains(['-', '.']) {
            ranges += 1;
            continue;
        }

        let field = |column, what| {
            field(&fields, column, what).map_err(|message| Error::line(path, line, message))
        };
        let tag = match (tag.map(|tag| field(tag, "tag")), missing) {
            (Some(Err(_)), MissingLabel::Allow) | (None, _) => None,
            (Some(tag), _) => Some(tag?),
        };
        sentence.add(line, field(word, "word")?, tag);
    }

    let counted = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let remarks = [
        counted(comments, "lines of comments are left out"),
        counted(ranges, "ranges of words and empty nodes of CoNLL-U are left out"),
    ];
    Ok(TaggedText { sentences, remarks: remarks.into_iter().flatten().collect() })
}

/// A sentence that is not at its end.
#[derive(Default)]
struct Open {
    line: usize,
    words: Vec<String>,
    tags: Vec<Option<String>>,
}

impl Open {
    fn add(&mut self, line: usize, word: String, tag: Option<String>) {
        if self.words.is_empty() {
            self.line = line;
        }
        self.words.push(word);
        self.tags.push(tag);
    }

    /// The sentence, if it has a word; without tags if one is missing.
    fn close(self) -> Option<TaggedSentence> {
        let tags = self.tags.into_iter().collect::<Option<Vec<String>>>().unwrap_or_default();
        (!self.words.is_empty()).then_some(TaggedSentence {
            line: self.line,
            words: self.words,
            tags,
        })
    }
}

/// What the first line of a word tells about a file.
struct Layout {
    has_tabs: bool,
    is_conllu: bool,
    columns: usize,
}

impl Layout {
    /// The layout of a file by its first line that does not begin with `#`.
    fn of(text: &str) -> Self {
        let is_word = |line: &&str| {
            !line.trim_ascii().is_empty() && !line.starts_with(['#']) && !line.starts_with("-DOC")
        };
        let first = text.lines().find(is_word).unwrap_or_default();
        let fields = fields_of(first);
        let has_tabs = first.contains('\t');
        let begins = fields.first().is_some_and(|id| *id == "1" || id.starts_with("1-"));
        let is_conllu = has_tabs && fields.len() == CONLLU_COLUMNS && begins;
        Self { has_tabs, is_conllu, columns: fields.len() }
    }

    /// Whether a line is a comment and not about the word `#`: it begins with `#`, and it is of
    /// CoNLL-U, has another number of columns than the other lines, or names a sentence (`# id`, as
    /// in MultiCoNER).
    fn is_comment(&self, line: &str) -> bool {
        let is_named = || line.starts_with("# id ") || line.starts_with("# id\t");
        line.starts_with('#')
            && (self.is_conllu
                || line.contains('\t') != self.has_tabs
                || fields_of(line).len() != self.columns
                || is_named())
    }
}

/// The fields of a line, separated by tabs if it has some, else by spaces.
fn fields_of(line: &str) -> Vec<&str> {
    if line.contains('\t') {
        line.split('\t').collect()
    } else {
        line.split_ascii_whitespace().collect()
    }
}

/// The field in a column, which holds `what`.
fn field(fields: &[&str], column: usize, what: &str) -> std::result::Result<String, String> {
    match fields.get(column).map(|field| field.trim_ascii()) {
        Some(field) if !field.is_empty() => Ok(field.to_owned()),
        _ => {
            let last = fields.len() - 1;
            Err(format!("no {what} in column {column}; columns there are: 0 to {last}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str, word: usize, tag: Option<usize>) -> Result<TaggedText> {
        read(Path::new("train.x"), text, word, tag, MissingLabel::Refuse)
    }

    fn sentence(line: usize, words: &str, tags: &str) -> TaggedSentence {
        let split = |text: &str| text.split(' ').map(str::to_owned).collect();
        TaggedSentence { line, words: split(words), tags: split(tags) }
    }

    #[test]
    fn columns_are_words_and_blank_lines_end_sentences() {
        let text =
            "-DOCSTART- -X- -X- O\n\n\nAnna NNP B-NP B-PER\nsings VBZ B-VP O\n \n# SYM O O\n";
        let expected = [sentence(4, "Anna sings", "B-PER O"), sentence(7, "#", "O")];
        assert_eq!(sentences(text, 0, Some(3)).unwrap().sentences, expected);

        let words = vec!["New York".into(), "city".into()];
        let expected = TaggedSentence { line: 1, words, tags: Vec::new() };
        assert_eq!(sentences("1\tNew York\r\n2\tcity\r\n", 1, None).unwrap().sentences, [expected]);
    }

    #[test]
    fn a_no_break_space_is_a_part_of_a_word() {
        let words = "12\u{a0}500 euro \u{a0}";
        let text = "12\u{a0}500 B-MON\neuro I-MON\n\u{a0} O\n";
        assert_eq!(
            sentences(text, 0, Some(1)).unwrap().sentences,
            [sentence(1, words, "B-MON I-MON O")]
        );
        let tabs = text.replace(' ', "\t");
        assert_eq!(
            sentences(&tabs, 0, Some(1)).unwrap().sentences,
            [sentence(1, words, "B-MON I-MON O")]
        );
    }

    #[test]
    fn comments_ranges_and_empty_nodes_of_conllu_are_left_out_and_counted() {
        let row =
            |id: &str, word: &str, tag: &str| format!("{id}\t{word}\t_\t{tag}\t_\t_\t_\t_\t_\t_\n");
        let text = [
            "# sent_id = a\n# text = Vai al mare\n".to_owned(),
            row("1", "Vai", "VERB"),
            row("2-3", "al", "_"),
            row("2", "a", "ADP"),
            row("3", "il", "DET"),
            row("3.1", "poi", "ADV"),
            row("4", "mare", "NOUN"),
            "\n# text = #\n".to_owned(),
            row("1", "#", "SYM"),
        ];
        let read = sentences(&text.concat(), 1, Some(3)).unwrap();
        assert_eq!(
            read.sentences,
            [sentence(3, "Vai a il mare", "VERB ADP DET NOUN"), sentence(11, "#", "SYM")]
        );
        let remarks = [
            "3 lines of comments are left out",
            "2 ranges of words and empty nodes of CoNLL-U are left out",
        ];
        assert_eq!(read.remarks, remarks);
    }

    #[test]
    fn comments_of_other_columns_are_no_words() {
        let text = "# id 5b-7 domain=en\nriver _ _ O\nNile _ _ B-LOC\n";
        let read = sentences(text, 0, Some(3)).unwrap();
        assert_eq!(read.sentences, [sentence(2, "river Nile", "O B-LOC")]);
        assert_eq!(read.remarks, ["1 lines of comments are left out"]);

        let text = "# the first sentence of all\nriver O\n# O\n";
        let read = sentences(text, 0, Some(1)).unwrap();
        assert_eq!(read.sentences, [sentence(2, "river #", "O O")]);
    }

    #[test]
    fn a_line_without_a_tag_is_refused_or_its_sentence_read_without_tags() {
        let text = "Anna O\nsings\n\nso O\n";
        let message = sentences(text, 0, Some(1)).unwrap_err().to_string();
        assert_eq!(message, "train.x:2: no tag in column 1; columns there are: 0 to 0");

        let allow = read(Path::new("x"), text, 0, Some(1), MissingLabel::Allow).unwrap();
        let tags: Vec<usize> = allow.sentences.iter().map(|sentence| sentence.tags.len()).collect();
        assert_eq!(tags, [0, 1]);
        assert!(sentences("\n\n", 0, Some(1)).unwrap().sentences.is_empty());
    }
}
