//! How steps change over the budget: how many rows they have, and how long.

use std::sync::Arc;

use crate::budget::{Budget, BudgetProgress};
use crate::settings::{CourseConfig, StepSize};

/// What a step works on.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRows {
    /// The number of its first row.
    pub first: u64,
    /// How many rows there are.
    pub size: usize,
    /// Longest sequence, special tokens included; longer passages are cut. None: no limit.
    pub length: Option<usize>,
    /// Share of the budget that is spent.
    pub progress: f64,
    /// As [`objective::Example::token_weights`].
    pub token_weights: Option<Arc<[f32]>>,
}

/// Tells for every step what it works on, before the steps ahead of it are done: the share of the
/// budget that will be spent by then is expected, not measured. The same for a run that is
/// continued, except for a budget of minutes.
#[derive(Clone, Debug)]
pub struct Course {
    config: CourseConfig,
    step: StepSize,
    pace: Pace,
}

/// What the spent share of the budget is told by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    /// The number of the step, times this.
    Steps(f64),
    /// The number of the row, times this.
    Rows(f64),
    /// The clock.
    Clock,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// Steps done.
    pub step: u64,
    /// Rows trained on.
    pub rows: u64,
    /// Share of the budget that is spent, as measured.
    pub fraction: f64,
}

impl Course {
    /// The course of a run with this budget, of which `whole` tells what a step of full size comes
    /// to.
    pub fn new(
        config: CourseConfig,
        step: StepSize,
        budget: &Budget,
        whole: impl FnOnce() -> BudgetProgress,
    ) -> Self {
        let pace = match (budget.steps, budget.minutes) {
            (Some(steps), _) => Pace::Steps(1.0 / steps as f64),
            (_, Some(_)) => Pace::Clock,
            _ => Pace::Rows(budget.fraction(&whole()) / step.size as f64),
        };
        Self { config, step, pace }
    }

    /// What the step after `standing` works on.
    pub fn rows(&self, standing: &Standing) -> StepRows {
        let progress = match self.pace {
            Pace::Steps(share) => standing.step as f64 * share,
            Pace::Rows(share) => standing.rows as f64 * share,
            Pace::Clock => standing.fraction,
        };
        let progress = progress.min(1.0);
        StepRows {
            first: standing.rows,
            size: self.size(progress),
            length: self.length(progress),
            progress,
            token_weights: None,
        }
    }

    /// A step of full size and length that begins with row `first`, at the end of the budget.
    pub fn whole(step: StepSize, first: u64) -> StepRows {
        StepRows { first, size: step.size, length: None, progress: 1.0, token_weights: None }
    }

    /// The number of steps, for a budget that is not of minutes.
    pub fn steps(&self) -> Option<u64> {
        if self.pace == Pace::Clock {
            return None;
        }
        let mut standing = Standing::default();
        loop {
            let rows = self.rows(&standing);
            // The inverse of 1 / n may be a little less than n.
            if rows.progress >= 1.0 - 1e-12 {
                return Some(standing.step.max(1));
            }
            standing.step += 1;
            standing.rows += rows.size as u64;
        }
    }

    /// The size grows in a line, in whole rows a pass.
    fn size(&self, progress: f64) -> usize {
        let (first, last) = (self.config.initial_size, self.step.size);
        if progress >= self.config.ramp {
            return last;
        }
        let passes = self.step.passes();
        let size = first as f64 + (last - first) as f64 * progress / self.config.ramp;
        (size as usize).next_multiple_of(passes).min(last)
    }

    /// The last length whose share of the budget is reached.
    fn length(&self, progress: f64) -> Option<usize> {
        let reached = |(from, _): &&(f64, usize)| *from <= progress;
        self.config.lengths.iter().rfind(reached).map(|(_, length)| *length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(config: CourseConfig, budget: &str) -> Course {
        let step = StepSize { size: 32, micro: 8, group: 0 };
        let whole =
            BudgetProgress { step: 1, tokens: 4000, epochs: 0.1, ..BudgetProgress::default() };
        Course::new(config, step, &toml::from_str(budget).expect("TOML"), || whole)
    }

    fn at(step: u64, rows: u64) -> Standing {
        Standing { step, rows, fraction: 0.75 }
    }

    #[test]
    fn the_spent_share_is_told_by_steps_rows_or_the_clock() {
        let progress =
            |budget, standing| course(CourseConfig::default(), budget).rows(&standing).progress;
        assert_eq!(progress("steps = 10", at(5, 7)), 0.5);
        assert_eq!(progress("tokens = 40000", at(5, 160)), 0.5);
        assert_eq!(progress("epochs = 1", at(5, 80)), 0.25);
        assert_eq!(progress("minutes = 3", at(5, 80)), 0.75);
        assert_eq!(progress("steps = 10", at(12, 7)), 1.0);
    }

    #[test]
    fn the_size_grows_to_the_whole_in_the_share_of_the_ramp() {
        let config = CourseConfig { initial_size: 8, ramp: 0.5, ..CourseConfig::default() };
        let course = course(config, "epochs = 1");
        let sizes = [0, 40, 80, 120, 160, 300].map(|rows| course.rows(&at(0, rows)).size);
        assert_eq!(sizes, [8, 16, 20, 28, 32, 32]);
    }

    #[test]
    fn the_last_length_that_is_reached_holds() {
        let lengths = vec![(0.0, 32), (0.5, 64), (0.9, 128)];
        let course = course(CourseConfig { lengths, ..CourseConfig::default() }, "steps = 10");
        let lengths = [0, 4, 5, 8, 9].map(|step| course.rows(&at(step, 0)).length);
        assert_eq!(lengths, [Some(32), Some(32), Some(64), Some(64), Some(128)]);
    }

    #[test]
    fn steps_are_counted_with_the_ramp() {
        let plain = CourseConfig::default();
        for steps in 1..2000 {
            let budget = format!("steps = {steps}");
            assert_eq!(course(plain.clone(), &budget).steps(), Some(steps));
        }
        assert_eq!(course(plain.clone(), "tokens = 40000").steps(), Some(10));
        assert_eq!(course(plain.clone(), "tokens = 40001").steps(), Some(11));
        assert_eq!(course(plain, "minutes = 3").steps(), None);
        let config = CourseConfig { initial_size: 16, ramp: 1.0, ..CourseConfig::default() };
        // 320 rows in steps of 16 at first and 32 at last.
        assert_eq!(course(config, "tokens = 40000").steps(), Some(14));
    }
}
