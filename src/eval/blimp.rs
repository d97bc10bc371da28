//! BLiMP (Warstadt et al. 2020): 67 paradigms of minimal pairs, scored by pseudo-log-likelihood.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use objective::Objective;
use serde::{Deserialize, Serialize};

use super::pll;
use crate::exit::BadInput;
use crate::model::Loaded;

/// Pairs scored together, which bounds memory.
const PAIRS_AT_ONCE: usize = 100;

/// A sentence and a twin that is not acceptable.
#[derive(Clone, Debug, Deserialize)]
pub struct Pair {
    /// The acceptable one.
    pub sentence_good: String,
    /// The other.
    pub sentence_bad: String,
    /// The phenomenon's tag.
    pub linguistics_term: String,
    /// The paradigm.
    #[serde(rename = "UID")]
    pub uid: String,
}

/// Accuracies: the share of pairs whose acceptable sentence has the higher pseudo-log-likelihood,
/// not normalised by length. A tie counts as wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Accuracies {
    /// By paradigm.
    pub paradigms: BTreeMap<String, Accuracy>,
    /// By phenomenon: the mean over its paradigms.
    pub phenomena: BTreeMap<String, f64>,
    /// The mean over paradigms.
    pub overall: f64,
    /// The same with the later pieces of a word masked too.
    pub overall_l2r: f64,
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
    /// The same with the later pieces of a word masked too.
    pub accuracy_l2r: f64,
}

/// Scores every `.jsonl` file in `folder`, at most `pairs` pairs of each (0: all). `said` is called
/// after each file.
///
/// # Errors
/// When the folder holds no such file, a line is no pair, or a signal asks to stop.
pub fn score<O: Objective>(
    loaded: &Loaded<O>,
    folder: &Path,
    pairs: usize,
    mut said: impl FnMut(&str, &Accuracy),
) -> Result<Accuracies> {
    let mut accuracies = Accuracies::default();
    for path in files(folder)? {
        for (uid, accuracy) in score_file(loaded, &path, pairs)? {
            said(&uid, &accuracy);
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
    }
}

/// The paper's phenomenon of a tag: two paradigms of argument structure are tagged `s-selection`.
fn phenomenon(tag: &str) -> String {
    if tag == "s-selection" { "argument_structure".to_owned() } else { tag.to_owned() }
}

/// The files in BLiMP's folder.
///
/// # Errors
/// When it cannot be opened or holds none.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        BadInput(format!("cannot open the BLiMP folder {}: {error}", folder.display()))
    })?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    if files.is_empty() {
        return Err(BadInput(format!(
            "{} holds no .jsonl file; give the folder with BLiMP's 67 files (its `data` folder)",
            folder.display()
        ))
        .into());
    }
    Ok(files)
}

fn score_file<O: Objective>(
    loaded: &Loaded<O>,
    path: &Path,
    pairs: usize,
) -> Result<BTreeMap<String, Accuracy>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut won: BTreeMap<String, (String, usize, usize, usize)> = BTreeMap::new();
    let limit = if pairs == 0 { usize::MAX } else { pairs };
    let mut waiting = Vec::new();
    for (number, line) in BufReader::new(file).lines().take(limit).enumerate() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        let pair: Pair = serde_json::from_str(&line).map_err(|error| {
            BadInput(format!("{}, line {}: {error}", path.display(), number + 1))
        })?;
        waiting.push(pair);
        if waiting.len() == PAIRS_AT_ONCE {
            count(loaded, &mut waiting, &mut won)?;
        }
    }
    count(loaded, &mut waiting, &mut won)?;
    let accuracy =
        |(uid, (phenomenon, pairs, won, won_l2r)): (String, (String, usize, usize, usize))| {
            let share = |won: usize| won as f64 / pairs as f64;
            (
                uid,
                Accuracy { phenomenon, pairs, accuracy: share(won), accuracy_l2r: share(won_l2r) },
            )
        };
    Ok(won.into_iter().map(accuracy).collect())
}

fn count<O: Objective>(
    loaded: &Loaded<O>,
    pairs: &mut Vec<Pair>,
    won: &mut BTreeMap<String, (String, usize, usize, usize)>,
) -> Result<()> {
    let sentences: Vec<&str> = pairs
        .iter()
        .flat_map(|pair| [pair.sentence_good.as_str(), pair.sentence_bad.as_str()])
        .collect();
    let scores = pll::score(loaded, &sentences)?;
    for (pair, scores) in pairs.iter().zip(scores.chunks(2)) {
        let entry =
            won.entry(pair.uid.clone()).or_insert((phenomenon(&pair.linguistics_term), 0, 0, 0));
        entry.1 += 1;
        entry.2 += usize::from(scores[0].pll > scores[1].pll);
        entry.3 += usize::from(scores[0].pll_l2r > scores[1].pll_l2r);
    }
    pairs.clear();
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
    }
}
