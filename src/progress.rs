//! Progress on stderr: a bar on a terminal, one plain line every few seconds elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use corpus::ProgressObserver;
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use crate::signals;

/// How often a plain line is printed.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Progress of long work, which a signal interrupts.
#[derive(Debug)]
pub struct Progress {
    animated: bool,
    unit: Unit,
    stage: Mutex<Option<Stage>>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default)]
enum Unit {
    #[default]
    Bytes,
    Things,
}

#[derive(Debug)]
struct Stage {
    name: String,
    total: Option<u64>,
    done: u64,
    unit: Unit,
    started: Instant,
    /// When the last plain line was printed, or the stage began.
    reported: Instant,
    bar: Option<ProgressBar>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { animated: animated(), unit: Unit::default(), stage: Mutex::new(None) }
    }
}

/// Whether stderr is a terminal that wants colour and movement.
pub fn animated() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal()
        && !set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

impl Unit {
    fn amount(self, count: u64) -> String {
        match self {
            Self::Bytes => HumanBytes(count).to_string(),
            Self::Things => HumanCount(count).to_string(),
        }
    }
}

impl Progress {
    /// Of work that is counted in things such as sentences, not in bytes.
    pub fn of_things() -> Self {
        Self { unit: Unit::Things, ..Self::default() }
    }

    fn stage(&self) -> MutexGuard<'_, Option<Stage>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProgressObserver for Progress {
    fn stage(&self, name: &str, total: Option<u64>) {
        self.finish();
        let unit = self.unit;
        let bar = self.animated.then(|| bar(name, total, unit));

        let now = Instant::now();
        let name = name.to_owned();
        *self.stage() =
            Some(Stage { name, total, done: 0, unit, started: now, reported: now, bar });
    }

    fn advance(&self, done: u64) {
        let mut stage = self.stage();
        let Some(stage) = stage.as_mut() else { return };
        stage.done += done;

        match &stage.bar {
            Some(bar) => bar.set_position(stage.done),
            None if stage.reported.elapsed() >= LINE_EVERY => {
                stage.reported = Instant::now();
                anstream::eprintln!("{}", stage.line());
            }
            None => {}
        }
    }

    fn finish(&self) {
        let Some(stage) = self.stage().take() else { return };
        if let Some(bar) = &stage.bar {
            bar.finish_and_clear();
        }

        let seconds = stage.started.elapsed().as_secs_f64();
        if seconds >= 1.0 {
            anstream::eprintln!(
                "{}: {} in {seconds:.1} s",
                stage.name,
                stage.unit.amount(stage.done)
            );
        }
    }

    fn interrupted(&self) -> bool {
        signals::is_interrupted()
    }
}

impl Stage {
    fn line(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.done as f64 / seconds.max(1e-9);
        let so_far = format!(
            "{}: {} ({}/s)",
            self.name,
            self.unit.amount(self.done),
            self.unit.amount(rate as u64)
        );

        match self.total {
            Some(total) if rate > 0.0 => {
                let left = Duration::from_secs_f64(total.saturating_sub(self.done) as f64 / rate);
                format!("{so_far} of {}, {} left", self.unit.amount(total), HumanDuration(left))
            }
            _ => so_far,
        }
    }
}

fn bar(name: &str, total: Option<u64>, unit: Unit) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = match (total, unit) {
        (Some(_), Unit::Bytes) => {
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left"
        }
        (Some(_), Unit::Things) => "{msg} {wide_bar} {human_pos}/{human_len} {per_sec}, {eta} left",
        (None, Unit::Bytes) => "{msg} {spinner} {bytes} {bytes_per_sec}",
        (None, Unit::Things) => "{msg} {spinner} {human_pos} {per_sec}",
    };

    bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
    bar.set_message(name.to_owned());
    bar
}
