//! Scores of predicted tags: the share of right words, and entities as CoNLL-2003's `conlleval`
//! counts them (Tjong Kim Sang and De Meulder 2003).

use std::collections::BTreeSet;

/// The meaning of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `B-x` begins an entity of kind x, `I-x` continues it, `O` is outside.
    Bio,
    /// Each tag stands for itself, such as a part of speech.
    Plain,
}

impl Scheme {
    /// The scheme of a set of tags: [`Bio`](Self::Bio) if all are `O`, `B-x` or `I-x` and not all
    /// are `O`.
    pub fn of<'a>(tags: impl IntoIterator<Item = &'a str>) -> Self {
        let mut has_entities = false;
        for tag in tags {
            match Tag::of(tag) {
                Some(Tag::Begin(_) | Tag::Inside(_)) => has_entities = true,
                Some(Tag::Outside) => {}
                None => return Self::Plain,
            }
        }
        if has_entities { Self::Bio } else { Self::Plain }
    }
}

/// The scores of tags, all from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TagScores {
    /// The share of words with the right tag.
    pub accuracy: f64,
    /// The scores of entities; none for [`Scheme::Plain`].
    pub entities: Option<EntityScores>,
}

/// Scores of predicted entities; an entity is right if its kind, its beginning and its end are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EntityScores {
    /// The share of right entities among those predicted; 0 where none is predicted.
    pub precision: f64,
    /// The share of right entities among the gold ones; 0 where there are none.
    pub recall: f64,
    /// The harmonic mean of precision and recall; 0 where both are 0.
    pub f1: f64,
    /// The number of gold entities.
    pub gold: usize,
    /// The number of predicted entities.
    pub predicted: usize,
    /// The number of right entities.
    pub right: usize,
}

/// Scores the predicted tags of sentences against the gold ones.
///
/// # Panics
/// When a sentence has another number of predicted tags than of gold ones. Words that were cut off
/// need the prediction `O`.
pub fn score<'a>(
    scheme: Scheme,
    sentences: impl IntoIterator<Item = (&'a [&'a str], &'a [&'a str])>,
) -> TagScores {
    let (mut words, mut equal) = (0, 0);
    let (mut gold, mut predicted, mut right) = (0, 0, 0);
    for (predictions, tags) in sentences {
        assert_eq!(predictions.len(), tags.len(), "a predicted tag for each word");
        words += tags.len();
        equal += predictions.iter().zip(tags).filter(|(predicted, tag)| predicted == tag).count();

        let (found, there) = (entities(predictions), entities(tags));
        gold += there.len();
        predicted += found.len();
        right += found.intersection(&there).count();
    }

    let entities = match scheme {
        Scheme::Plain => None,
        Scheme::Bio => Some(EntityScores {
            precision: share(right, predicted),
            recall: share(right, gold),
            // 2PR/(P+R), rounded once.
            f1: share(2 * right, predicted + gold),
            gold,
            predicted,
            right,
        }),
    };
    TagScores { accuracy: share(equal, words), entities }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// An entity of a sentence: its kind, its first word and the word after its last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entity<'a> {
    start: usize,
    end: usize,
    kind: &'a str,
}

/// The entities of a sentence. An `I-x` that continues nothing of kind x begins an entity, as in
/// `conlleval`.
fn entities<'a>(tags: &[&'a str]) -> BTreeSet<Entity<'a>> {
    let mut found = BTreeSet::new();
    let mut open: Option<Entity<'_>> = None;
    for (word, tag) in tags.iter().enumerate() {
        let tag = Tag::of(tag);
        if let (Some(Tag::Inside(kind)), Some(entity)) = (&tag, &mut open)
            && *kind == entity.kind
        {
            entity.end = word + 1;
            continue;
        }

        found.extend(open.take());
        if let Some(Tag::Begin(kind) | Tag::Inside(kind)) = tag {
            open = Some(Entity { start: word, end: word + 1, kind });
        }
    }
    found.extend(open);
    found
}

/// A tag of the scheme BIO.
enum Tag<'a> {
    Begin(&'a str),
    Inside(&'a str),
    Outside,
}

impl<'a> Tag<'a> {
    fn of(tag: &'a str) -> Option<Self> {
        match (tag, tag.split_once('-')) {
            ("O", _) => Some(Self::Outside),
            (_, Some(("B", kind))) => Some(Self::Begin(kind)),
            (_, Some(("I", kind))) => Some(Self::Inside(kind)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tags: &str) -> Vec<(usize, usize, &str)> {
        let entities = entities(&tags.split(' ').collect::<Vec<_>>());
        entities.into_iter().map(|Entity { start, end, kind }| (start, end, kind)).collect()
    }

    fn scores(scheme: Scheme, sentences: &[(&str, &str)]) -> TagScores {
        let tags: Vec<(Vec<&str>, Vec<&str>)> = sentences
            .iter()
            .map(|(a, b)| (a.split(' ').collect(), b.split(' ').collect()))
            .collect();
        score(scheme, tags.iter().map(|(predicted, gold)| (predicted.as_slice(), gold.as_slice())))
    }

    #[test]
    fn entities_begin_and_end_as_conlleval_says() {
        assert_eq!(found("O B-PER I-PER O B-LOC"), [(1, 3, "PER"), (4, 5, "LOC")]);
        assert_eq!(found("B-PER B-PER I-PER"), [(0, 1, "PER"), (1, 3, "PER")]);
        assert_eq!(
            found("I-PER I-PER I-LOC O I-LOC"),
            [(0, 2, "PER"), (2, 3, "LOC"), (4, 5, "LOC")]
        );
        assert_eq!(found("O O"), []);
        assert_eq!(found("B-work-of-art I-work-of-art"), [(0, 2, "work-of-art")]);
    }

    #[test]
    fn an_entity_is_right_only_whole() {
        let sentences = [
            // Right; wrong end; wrong kind.
            ("B-PER I-PER O B-LOC O B-ORG", "B-PER I-PER O B-LOC I-LOC B-LOC"),
            // Not found.
            ("O O", "B-LOC O"),
        ];

        let scores = scores(Scheme::Bio, &sentences);
        assert_eq!(scores.accuracy, 5.0 / 8.0);
        let entities = scores.entities.unwrap();
        assert_eq!((entities.right, entities.predicted, entities.gold), (1, 3, 4));
        assert_eq!(
            (entities.precision, entities.recall, entities.f1),
            (1.0 / 3.0, 0.25, 2.0 / 7.0)
        );
    }

    #[test]
    fn nothing_found_is_zero_and_an_entity_ends_with_its_sentence() {
        let nothing = scores(Scheme::Bio, &[("O O", "O O")]).entities.unwrap();
        assert_eq!((nothing.precision, nothing.recall, nothing.f1), (0.0, 0.0, 0.0));
        let two =
            scores(Scheme::Bio, &[("O B-PER", "O B-PER"), ("I-PER", "I-PER")]).entities.unwrap();
        assert_eq!(two.right, 2);
    }

    #[test]
    fn tags_of_another_scheme_count_by_word() {
        assert_eq!(Scheme::of(["O", "B-PER", "I-PER"]), Scheme::Bio);
        assert_eq!(Scheme::of(["NN", "B-PER"]), Scheme::Plain);
        assert_eq!(Scheme::of(["O"]), Scheme::Plain);
        assert_eq!(
            scores(Scheme::Plain, &[("NN VB", "NN NN")]),
            TagScores { accuracy: 0.5, entities: None }
        );
    }
}
