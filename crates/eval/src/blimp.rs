//! BLiMP (Warstadt et al. 2020): 67 paradigms of minimal pairs, scored by pseudo-log-likelihood.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::evaluable::Evaluable;
use crate::pll;

/// Pairs scored together, which bounds memory.
const PAIRS_AT_ONCE: usize = 100;

/// A sentence and a twin that is not acceptable.
#[derive(Clone, Debug, Deserialize)]
pub struct MinimalPair {
    /// The acceptable sentence.
    pub sentence_good: String,
    /// The sentence that is not acceptable.
    pub sentence_bad: String,
    /// The phenomenon's tag; none in other files of minimal pairs, where the paradigm stands for
    /// it.
    pub linguistics_term: Option<String>,
    /// The paradigm; none in other files of minimal pairs, where the name of the file stands for
    /// it.
    #[serde(rename = "UID")]
    pub uid: Option<String>,
}

/// Accuracies: the share of pairs whose acceptable sentence has the higher pseudo-log-likelihood,
/// not normalised by length. A tie counts as wrong here, and as right in BabyLM's pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Accuracies {
    /// By paradigm.
    pub paradigms: BTreeMap<String, Accuracy>,
    /// By phenomenon: the mean over its paradigms.
    pub phenomena: BTreeMap<String, f64>,
    /// The mean over paradigms.
    pub overall: f64,
    /// As `overall`, with the later pieces of a word masked too.
    pub overall_l2r: f64,
    /// The mean share of ties over paradigms.
    pub ties: f64,
}

/// The accuracy of a paradigm.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Accuracy {
    /// Its phenomenon.
    pub phenomenon: String,
    /// Pairs scored.
    pub pairs: usize,
    /// Share of pairs won.
    pub accuracy: f64,
    /// As `accuracy`, with the later pieces of a word masked too.
    pub accuracy_l2r: f64,
    /// Share of pairs whose sentences score alike.
    pub ties: f64,
}

/// Scores every `.jsonl` file in `folder`, at most `pairs` pairs of each (0: all). `scored` is
/// called after each paradigm.
///
/// # Errors
/// When the folder holds no such file, a line is no pair, or the caller asks to stop.
pub fn score(
    model: &dyn Evaluable,
    folder: &Path,
    pairs: usize,
    mut scored: impl FnMut(&str, &Accuracy),
) -> Result<Accuracies> {
    let mut accuracies = Accuracies::default();
    for path in files(folder)? {
        for (uid, accuracy) in score_file(model, &path, pairs)? {
            scored(&uid, &accuracy);
            accuracies.paradigms.insert(uid, accuracy);
        }
    }

    accuracies.summarise();
    Ok(accuracies)
}

impl Accuracies {
    fn summarise(&mut self) {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let mut by_phenomenon: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for paradigm in self.paradigms.values() {
            by_phenomenon.entry(paradigm.phenomenon.clone()).or_default().push(paradigm.accuracy);
        }

        self.phenomena =
            by_phenomenon.into_iter().map(|(name, values)| (name, mean(&values))).collect();

        let all =
            |of: fn(&Accuracy) -> f64| mean(&self.paradigms.values().map(of).collect::<Vec<_>>());
        (self.overall, self.overall_l2r) = (all(|a| a.accuracy), all(|a| a.accuracy_l2r));
        self.ties = all(|a| a.ties);
    }
}

/// The paper's phenomenon of a tag: two paradigms of argument structure are tagged `s-selection`.
fn phenomenon(tag: &str) -> String {
    if tag == "s-selection" { "argument_structure".to_owned() } else { tag.to_owned() }
}

/// The files in BLiMP's folder.
///
/// # Errors
/// When the folder cannot be opened or holds none.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot_open = |error: std::io::Error| {
        Error::Data(format!("cannot open the BLiMP folder {}: {error}", folder.display()))
    };

    let entries = std::fs::read_dir(folder).map_err(cannot_open)?;
    let files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut files = files.map_err(cannot_open)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();

    if files.is_empty() {
        return Err(Error::Data(format!(
            "{} holds no .jsonl file; give the folder with BLiMP's 67 files (its `data` folder)",
            folder.display()
        )));
    }
    Ok(files)
}

/// Pairs of a paradigm, and how many of them were won.
#[derive(Debug, Default)]
struct Wins {
    phenomenon: String,
    pairs: usize,
    won: usize,
    won_l2r: usize,
    tied: usize,
}

impl Wins {
    fn accuracy(self) -> Accuracy {
        let share = |won: usize| won as f64 / self.pairs as f64;
        Accuracy {
            accuracy: share(self.won),
            accuracy_l2r: share(self.won_l2r),
            ties: share(self.tied),
            pairs: self.pairs,
            phenomenon: self.phenomenon,
        }
    }
}

fn score_file(
    model: &dyn Evaluable,
    path: &Path,
    pairs: usize,
) -> Result<BTreeMap<String, Accuracy>> {
    let cannot = |what: &str| Error::io(format!("cannot {what} {}", path.display()));
    let file = File::open(path).map_err(cannot("open"))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let limit = if pairs == 0 { usize::MAX } else { pairs };

    let (mut wins, mut waiting) = (BTreeMap::new(), Vec::new());
    for (number, line) in BufReader::new(file).lines().take(limit).enumerate() {
        let line = line.map_err(cannot("read"))?;
        let pair: MinimalPair = serde_json::from_str(&line).map_err(|error| {
            Error::Data(format!("{}, line {}: {error}", path.display(), number + 1))
        })?;

        waiting.push(pair);
        if waiting.len() == PAIRS_AT_ONCE {
            count(model, &name, &mut waiting, &mut wins)?;
        }
    }
    count(model, &name, &mut waiting, &mut wins)?;
    Ok(wins.into_iter().map(|(uid, wins)| (uid, wins.accuracy())).collect())
}

/// Scores the waiting pairs of the file called `file` and counts those that are won.
fn count(
    model: &dyn Evaluable,
    file: &str,
    pairs: &mut Vec<MinimalPair>,
    wins: &mut BTreeMap<String, Wins>,
) -> Result<()> {
    let sentences: Vec<&str> = pairs
        .iter()
        .flat_map(|pair| [pair.sentence_good.as_str(), pair.sentence_bad.as_str()])
        .collect();

    let scores = pll::score(model, &sentences)?;

    for (pair, scores) in pairs.drain(..).zip(scores.chunks(2)) {
        let uid = pair.uid.unwrap_or_else(|| file.to_owned());
        let tag = pair.linguistics_term.unwrap_or_else(|| uid.clone());
        let paradigm = wins.entry(uid).or_default();
        paradigm.phenomenon = phenomenon(&tag);
        paradigm.pairs += 1;
        paradigm.tied += usize::from(scores[0].pll == scores[1].pll);
        paradigm.won += usize::from(scores[0].pll > scores[1].pll);
        paradigm.won_l2r += usize::from(scores[0].pll_l2r > scores[1].pll_l2r);
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phenomena_are_means_over_their_paradigms() {
        let accuracy = |tag: &str, accuracy| Accuracy {
            phenomenon: phenomenon(tag),
            pairs: 10,
            accuracy,
            accuracy_l2r: accuracy / 2.0,
            ties: 0.25,
        };

        let mut accuracies = Accuracies::default();
        for (uid, tag, value) in
            [("a", "argument_structure", 1.0), ("b", "s-selection", 0.5), ("c", "binding", 0.0)]
        {
            accuracies.paradigms.insert(uid.to_owned(), accuracy(tag, value));
        }

        accuracies.summarise();
        assert_eq!(accuracies.phenomena["argument_structure"], 0.75, "s-selection is merged");
        assert_eq!(
            (accuracies.phenomena.len(), accuracies.overall, accuracies.overall_l2r),
            (2, 0.5, 0.25)
        );
        assert_eq!(accuracies.ties, 0.25);
    }
}
