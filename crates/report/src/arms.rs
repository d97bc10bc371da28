//! Runs that differ only in their seed, put together and compared.

use settings::differing_keys;
use toml::{Table, Value};

use crate::run::Run;
use crate::statistics::{deviation, mean, paired_interval, welch_interval};

/// Runs with one configuration and different seeds.
#[derive(Clone, Debug)]
pub struct Arm {
    /// The name, see [`arms`].
    pub name: String,
    /// The runs, by seed.
    pub runs: Vec<Run>,
}

/// How a quantity of an arm differs from that of another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The arm's mean minus that of the other.
    pub mean: f64,
    /// Half the width of the interval of 95 %; none where there is no spread to estimate it from.
    pub interval: Option<f64>,
}

/// The arms of runs, in the order in which they are met. An arm has the name that its runs share
/// when a number at the end (`-1`, `-seed1`) is taken off, or else the keys in which its
/// configuration differs from the first arm's.
pub fn arms(runs: Vec<Run>) -> Vec<Arm> {
    let mut arms: Vec<Arm> = Vec::new();
    for run in runs {
        match arms.iter_mut().find(|arm| alike(&arm.runs[0], &run)) {
            Some(arm) => arm.runs.push(run),
            None => arms.push(Arm { name: String::new(), runs: vec![run] }),
        }
    }

    for arm in &mut arms {
        arm.runs.sort_by_key(|run| run.seed);
    }

    let mut names: Vec<String> = arms.iter().map(|arm| shared_name(&arm.runs)).collect();
    let unclear =
        |name: &String| name.is_empty() || names.iter().filter(|other| *other == name).count() > 1;
    if names.iter().any(unclear) {
        names = arms.iter().map(|arm| difference_name(&arms[0], arm)).collect();
    }

    for (arm, name) in arms.iter_mut().zip(names) {
        arm.name = name;
    }

    arms
}

/// Whether two runs have one configuration and differ only in their seeds. Runs that they start
/// from or learn from are the same, or have names that differ only in the seed, which is the run's
/// own.
fn alike(one: &Run, other: &Run) -> bool {
    same_table(&one.config, &other.config, Seeds { one: one.seed, other: other.seed })
}

/// The seeds of two runs that are compared.
#[derive(Clone, Copy)]
struct Seeds {
    one: u64,
    other: u64,
}

fn same_table(one: &Table, other: &Table, seeds: Seeds) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len()
        && pairs.all(|((key, value), (other_key, other_value))| {
            key == other_key && same_value(value, other_value, seeds)
        })
}

fn same_value(one: &Value, other: &Value, seeds: Seeds) -> bool {
    match (one, other) {
        (Value::Table(one), Value::Table(other)) => same_table(one, other, seeds),
        (Value::String(one), Value::String(other)) => {
            one == other || without_seed(one, seeds.one) == without_seed(other, seeds.other)
        }
        _ => one == other,
    }
}

/// The text without the seed in the names of runs.
fn without_seed(text: &str, seed: u64) -> String {
    let mut text = text.to_owned();
    for named in [format!("seed{seed}"), format!("seed-{seed}")] {
        let mut parts = text.split(named.as_str());
        let mut without = parts.next().unwrap_or_default().to_owned();

        for part in parts {
            // A digit after the match means another seed, such as seed12 for seed1.
            let whole = !part.starts_with(|next: char| next.is_ascii_digit());
            without.push_str(if whole { "seed" } else { &named });
            without.push_str(part);
        }

        text = without;
    }
    text
}

fn shared_name(runs: &[Run]) -> String {
    let number = |run: &Run| run.name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    let base = |run: &Run| {
        number(run).trim_end_matches("seed").trim_end_matches(['-', '_', '.']).to_owned()
    };
    match runs {
        [run] if number(run).ends_with("seed") => base(run),
        [run] => run.name.clone(),
        [first, rest @ ..] if rest.iter().all(|run| base(run) == base(first)) => base(first),
        _ => String::new(),
    }
}

fn difference_name(first: &Arm, arm: &Arm) -> String {
    let config = &arm.runs[0].config;
    let keys = differing_keys(&first.runs[0].config, config);
    if keys.is_empty() {
        return "baseline".to_owned();
    }

    let setting = |key: &String| match value_at(config, key) {
        Some(value) => format!("{key}={value}"),
        None => format!("{key}=-"),
    };
    keys.iter().map(setting).collect::<Vec<_>>().join(" ")
}

/// The value at the dotted path `key`.
fn value_at<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    let mut parts = key.split('.');
    let value = table.get(parts.next()?)?;
    parts.try_fold(value, |value, part| value.as_table()?.get(part))
}

impl Arm {
    /// The quantity in each run that has it, by seed.
    pub fn values(&self, name: &str) -> Vec<f64> {
        self.runs.iter().filter_map(|run| run.value(name)).collect()
    }

    /// Mean and standard deviation of a quantity over the seeds.
    pub fn summary(&self, name: &str) -> Option<(f64, Option<f64>)> {
        let values = self.values(name);
        (!values.is_empty()).then(|| (mean(&values), deviation(&values)))
    }

    /// How a quantity differs from that of `other`: seed by seed where both have the same seeds,
    /// over those in which both have it; else as of independent samples.
    pub fn difference(&self, other: &Self, name: &str) -> Option<Difference> {
        let seeds = |arm: &Self| -> Vec<u64> { arm.runs.iter().map(|run| run.seed).collect() };
        if seeds(self) == seeds(other) {
            let pairs = self.runs.iter().zip(&other.runs);
            let differences: Vec<f64> =
                pairs.filter_map(|(a, b)| Some(a.value(name)? - b.value(name)?)).collect();
            let is_shared = !differences.is_empty();
            return is_shared.then(|| Difference {
                mean: mean(&differences),
                interval: paired_interval(&differences),
            });
        }

        let (mine, theirs) = (self.values(name), other.values(name));
        let have_both = !mine.is_empty() && !theirs.is_empty();
        have_both.then(|| Difference {
            mean: mean(&mine) - mean(&theirs),
            interval: welch_interval(&mine, &theirs),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::*;
    use std::collections::BTreeMap;

    fn run(name: &str, seed: u64, config: &str, loss: f64) -> Run {
        Run {
            folder: name.into(),
            name: name.to_owned(),
            seed,
            config: config.parse().expect("TOML"),
            summary: BTreeMap::new(),
            evaluations: vec![BTreeMap::from([("loss".to_owned(), loss)])],
            results: BTreeMap::new(),
        }
    }

    #[test]
    fn runs_that_differ_in_their_seed_are_an_arm() {
        let found = arms(vec![
            run("plain-seed2", 2, "a = 1", 3.0),
            run("other-seed1", 1, "a = 2", 5.0),
            run("plain-seed1", 1, "a = 1", 1.0),
        ]);
        let names: Vec<&str> = found.iter().map(|arm| arm.name.as_str()).collect();
        assert_eq!(names, ["plain", "other"]);
        assert_eq!(found[0].values("loss"), [1.0, 3.0], "by seed");
        assert_eq!(found[0].summary("loss"), Some((2.0, Some(2f64.sqrt()))));
    }

    #[test]
    fn runs_that_start_from_runs_of_their_own_seed_or_from_the_same_one_are_an_arm() {
        let from = |seed: u64, init: &str| {
            let start = format!("init = \"runs/{init}\"\nteacher = \"runs/teacher-seed1\"");
            let config = format!("{start}\n[corpus]\ntokenizer = \"runs/{init}/tokenizer.json\"");
            run(&format!("student-seed{seed}"), seed, &config, 1.0)
        };
        let joined = |one: &str, two: &str| arms(vec![from(1, one), from(12, two)]).len() == 1;
        assert!(joined("general-seed1", "general-seed12"), "each from its own");
        assert!(joined("general-seed1", "general-seed1"), "both from the first");
        assert!(joined("general/seed-1/checkpoints", "general/seed-12/checkpoints"));
        assert!(!joined("general-seed1", "general-seed2"), "one from a third's");
        assert!(!joined("general-seed1", "general-seed123"));
        assert!(!joined("general-seed1", "special-seed12"));
    }

    #[test]
    fn without_a_common_name_an_arm_is_called_by_what_differs() {
        let found = arms(vec![
            run("x", 1, "a = 1", 1.0),
            run("y", 2, "a = 1", 1.0),
            run("z", 1, "a = 2\n[b]\nc = \"d\"", 1.0),
        ]);
        assert_eq!(found[1].name, "a=2 b={ c = \"d\" }");
        assert_eq!(found[0].name, "baseline");
    }

    #[test]
    fn the_same_seeds_are_compared_pair_by_pair() {
        let arm = |losses: [f64; 3]| Arm {
            name: String::new(),
            runs: (0..3).map(|seed| run("x", seed, "", losses[seed as usize])).collect(),
        };

        let found =
            arm([2.0, 4.0, 9.0]).difference(&arm([1.0, 3.0, 8.0]), "loss").expect("a difference");
        assert_eq!(found, Difference { mean: 1.0, interval: Some(0.0) });
        assert_eq!(arm([1.0; 3]).difference(&arm([1.0; 3]), "none"), None);

        let without = |losses: [f64; 3], seed: usize| {
            let mut arm = arm(losses);
            arm.runs[seed].evaluations.clear();
            arm
        };

        let found = without([9.0, 4.0, 9.0], 0).difference(&without([1.0, 3.0, 1.0], 2), "loss");
        assert_eq!(
            found,
            Some(Difference { mean: 1.0, interval: None }),
            "of the one seed that both have"
        );
    }
}
