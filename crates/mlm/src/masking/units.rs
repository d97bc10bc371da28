//! Choosing positions: tokens, words, n-grams or spans, up to a budget.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;

use super::draw::{Cumulative, below, shuffle, uniform};

/// Ascending positions that were chosen together.
pub type Chosen = Vec<Vec<u32>>;

/// `count` of the units, each as likely as any other.
pub fn sample(mut units: Chosen, count: usize, rng: &mut ChaCha8Rng) -> Chosen {
    shuffle(&mut units, count, rng);
    units.truncate(count);
    units
}

/// `count` of the positions without replacement, each draw proportional to the weights of what is
/// left: the positions with the largest ln(U) / weight (Efraimidis and Spirakis 2006).
pub fn weighted(
    positions: &[u32],
    weight: impl Fn(u32) -> f64,
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Chosen {
    let key = |position: &u32| ((1.0 - uniform(rng)).ln() / weight(*position), *position);
    let mut keys: Vec<(f64, u32)> = positions.iter().map(key).collect();
    keys.sort_by(|(key, position), (other_key, other_position)| {
        other_key.total_cmp(key).then(position.cmp(other_position))
    });
    keys.into_iter().take(count).map(|(_, position)| vec![position]).collect()
}

/// Words in random order while they fit `budget` tokens; one that does not fit is passed over.
pub fn words(mut words: Vec<Vec<u32>>, budget: usize, rng: &mut ChaCha8Rng) -> Chosen {
    let count = words.len();
    shuffle(&mut words, count, rng);

    let mut left = budget;
    let mut fits = |word: &Vec<u32>| {
        let fits = word.len() <= left;
        left -= if fits { word.len() } else { 0 };
        fits
    };
    words.into_iter().filter(|word| fits(word)).collect()
}

/// Words, of which those of an n-gram that `find` gives are joined; n-grams are looked for among
/// words that follow one another without a gap. Of n-grams that overlap one is taken at random, and
/// the words of the others stay alone.
pub fn joined(
    words: Chosen,
    find: impl Fn(&[Vec<u32>]) -> Vec<Range<usize>>,
    rng: &mut ChaCha8Rng,
) -> Chosen {
    let mut first = 0;
    let mut ngrams: Vec<Range<usize>> = Vec::new();
    for run in words.chunk_by(|left, right| touch(left, right)) {
        ngrams.extend(find(run).into_iter().map(|found| first + found.start..first + found.end));
        first += run.len();
    }

    let count = ngrams.len();
    shuffle(&mut ngrams, count, rng);
    // The n-gram that begins at each word; words inside one begin none.
    let mut ends: Vec<usize> = (1..=words.len()).collect();
    let mut taken = vec![false; words.len()];
    for ngram in ngrams {
        if !taken[ngram.clone()].contains(&true) {
            taken[ngram.clone()].fill(true);
            ends[ngram.start] = ngram.end;
        }
    }

    let mut units = Vec::new();
    let mut start = 0;
    while start < words.len() {
        units.push(words[start..ends[start]].concat());
        start = ends[start];
    }
    units
}

/// N-grams of words from anchors in random order while they fit `budget` tokens (ALBERT). The
/// length is drawn from `lengths`; one that does not fit is shortened, and an anchor whose words
/// are partly taken is passed over. N-grams run over the words as they follow one another, so a
/// special token between them is no end.
pub fn ngrams(
    words: &[Vec<u32>],
    lengths: &Cumulative,
    max: usize,
    budget: usize,
    rng: &mut ChaCha8Rng,
) -> Chosen {
    let mut anchors: Vec<usize> = (0..words.len()).collect();
    shuffle(&mut anchors, words.len(), rng);

    let mut taken = vec![false; words.len()];
    let (mut left, mut chosen) = (budget, Vec::new());
    for anchor in anchors {
        if left == 0 {
            break;
        }
        if taken[anchor] {
            continue;
        }

        let longest = max.min(words.len() - anchor);
        let mut n = lengths.draw_first(longest, rng) + 1;
        let size = |n: usize| words[anchor..anchor + n].iter().map(Vec::len).sum::<usize>();
        while n > 0 && size(n) > left {
            n -= 1;
        }
        if n == 0 || taken[anchor..anchor + n].iter().any(|taken| *taken) {
            continue;
        }

        taken[anchor..anchor + n].fill(true);
        left -= size(n);
        chosen.push(words[anchor..anchor + n].concat());
    }
    chosen
}

/// Spans of words until exactly `budget` tokens are chosen, or all (SpanBERT): a length, then a
/// random token; both are drawn again if that token is chosen already. The span starts with the
/// token's word and is cut where the budget ends, at a position that may not be chosen, and at the
/// end. What another span has chosen counts once, and spans that overlap or touch are one in the
/// end.
pub fn spans(
    words: &[Vec<u32>],
    lengths: &Cumulative,
    budget: usize,
    rng: &mut ChaCha8Rng,
) -> Chosen {
    let positions: Vec<(u32, usize)> = words
        .iter()
        .enumerate()
        .flat_map(|(w, word)| word.iter().map(move |position| (*position, w)))
        .collect();
    let len = positions.last().map_or(0, |(position, _)| *position as usize + 1);

    let mut spending = Spending::new(len, budget.min(positions.len()));
    while spending.has_left() {
        let length = lengths.draw(rng) + 1;
        let (position, anchor) = positions[below(positions.len(), rng)];
        if spending.chosen[position as usize] {
            continue;
        }

        let end = (anchor + length).min(words.len());
        let end = (anchor + 1..end).find(|w| !touch(&words[w - 1], &words[*w])).unwrap_or(end);
        for position in words[anchor..end].iter().flatten() {
            spending.choose(*position);
        }
    }
    merge(&spending.chosen)
}

/// Annotated spans, and as often single words, until exactly `budget` tokens are chosen, or all
/// (SpanBERT's table 6: half of the time a named entity or noun phrase, half of the time a random
/// word). The last one is cut where the budget ends; when the spans are used up, words go on, and
/// the other way round. What was chosen before counts once, and what touches is one unit in the
/// end.
pub fn annotated(
    mut words: Chosen,
    mut spans: Chosen,
    budget: usize,
    rng: &mut ChaCha8Rng,
) -> Chosen {
    let (word_count, span_count) = (words.len(), spans.len());
    shuffle(&mut words, word_count, rng);
    shuffle(&mut spans, span_count, rng);
    let len = words.iter().flatten().max().map_or(0, |position| *position as usize + 1);

    let mut spending = Spending::new(len, budget.min(words.iter().map(Vec::len).sum()));
    while spending.has_left() {
        let takes_span = uniform(rng) < 0.5;
        let next = if takes_span {
            spans.pop().or_else(|| words.pop())
        } else {
            words.pop().or_else(|| spans.pop())
        };
        for position in next.into_iter().flatten() {
            spending.choose(position);
        }
    }
    merge(&spending.chosen)
}

/// Positions that are chosen one by one until a budget is spent.
struct Spending {
    /// Whether each position is chosen.
    chosen: Vec<bool>,
    /// How many more may be.
    left: usize,
}

impl Spending {
    fn new(len: usize, budget: usize) -> Self {
        Self { chosen: vec![false; len], left: budget }
    }

    fn has_left(&self) -> bool {
        self.left > 0
    }

    /// Chooses a position, unless it is chosen already or the budget is spent.
    fn choose(&mut self, position: u32) {
        let chosen = &mut self.chosen[position as usize];
        if !*chosen && self.left > 0 {
            *chosen = true;
            self.left -= 1;
        }
    }
}

/// Whether no position is between two words.
fn touch(left: &[u32], right: &[u32]) -> bool {
    matches!((left.last(), right.first()), (Some(left), Some(right)) if left + 1 == *right)
}

/// Runs of chosen positions.
fn merge(chosen: &[bool]) -> Chosen {
    let mut runs: Chosen = Vec::new();
    for position in (0..chosen.len()).filter(|position| chosen[*position]) {
        match runs.last_mut() {
            Some(run) if run[run.len() - 1] as usize + 1 == position => run.push(position as u32),
            _ => runs.push(vec![position as u32]),
        }
    }
    runs
}
