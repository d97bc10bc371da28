//! Progress on stderr: a bar on a terminal, one plain line every few seconds elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use corpus::Watch;
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};

use crate::signals;

/// How often a plain line is printed.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Progress of long work, which a signal interrupts.
#[derive(Debug)]
pub struct Progress {
    animated: bool,
    stage: Mutex<Option<Stage>>,
}

#[derive(Debug)]
struct Stage {
    name: String,
    total: Option<u64>,
    done: u64,
    started: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { animated: animated(), stage: Mutex::new(None) }
    }
}

/// Whether stderr is a terminal that wants colour and movement.
pub fn animated() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

impl Progress {
    fn stage(&self) -> MutexGuard<'_, Option<Stage>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Progress {
    fn stage(&self, name: &str, total: Option<u64>) {
        self.finish();
        let bar = self.animated.then(|| bar(name, total));
        let now = Instant::now();
        let name = name.to_owned();
        *self.stage() = Some(Stage { name, total, done: 0, started: now, said: now, bar });
    }

    fn advance(&self, done: u64) {
        let mut stage = self.stage();
        let Some(stage) = stage.as_mut() else { return };
        stage.done += done;
        match &stage.bar {
            Some(bar) => bar.set_position(stage.done),
            None if stage.said.elapsed() >= LINE_EVERY => {
                stage.said = Instant::now();
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
            anstream::eprintln!("{}: {} in {seconds:.1} s", stage.name, HumanBytes(stage.done));
        }
    }

    fn interrupted(&self) -> bool {
        signals::received().is_some()
    }
}

impl Stage {
    fn line(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.done as f64 / seconds.max(1e-9);
        let so_far = format!("{}: {} ({}/s)", self.name, HumanBytes(self.done), HumanBytes(rate as u64));
        match self.total {
            Some(total) if rate > 0.0 => {
                let left = Duration::from_secs_f64(total.saturating_sub(self.done) as f64 / rate);
                format!("{so_far} of {}, {} left", HumanBytes(total), HumanDuration(left))
            }
            _ => so_far,
        }
    }
}

fn bar(name: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {bytes} {bytes_per_sec}"),
    };
    bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
    bar.set_message(name.to_owned());
    bar
}
