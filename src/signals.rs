//! Ctrl-C and SIGTERM: the first asks to stop at the next safe point, the second stops at once.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// A signal asked to stop, and what was to be saved is saved: exit code 128 + signal.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("interrupted by signal {0}")]
pub struct Interrupted(pub u8);

static RECEIVED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();
static NOTICED: AtomicBool = AtomicBool::new(false);

/// Starts to listen for signals. The second signal ends the process at once with 128 + signal.
///
/// # Errors
/// When the operating system refuses a handler.
pub fn listen() -> Result<()> {
    let received = RECEIVED.get_or_init(Default::default);
    let armed = Arc::new(AtomicBool::new(false));

    for signal in [SIGINT, SIGTERM] {
        let install = || -> std::io::Result<()> {
            flag::register_conditional_shutdown(signal, 128 + signal, armed.clone())?;
            flag::register(signal, armed.clone())?;
            flag::register_usize(signal, received.clone(), signal as usize)?;
            Ok(())
        };
        install().with_context(|| format!("cannot listen for signal {signal}"))?;
    }
    Ok(())
}

/// The signal that asked to stop, if one did; says so on stderr the first time it is noticed.
pub fn received() -> Option<Interrupted> {
    let signal = RECEIVED.get()?.load(Ordering::Relaxed);
    if signal == 0 {
        return None;
    }

    if !NOTICED.swap(true, Ordering::Relaxed) {
        let name = if signal == SIGTERM as usize { "SIGTERM" } else { "Ctrl-C" };
        anstream::eprintln!("{name}: stopping at the next safe point; once more stops at once");
    }
    Some(Interrupted(signal as u8))
}

/// Whether a signal asked to stop.
pub fn is_interrupted() -> bool {
    received().is_some()
}

/// An error when a signal asked to stop.
///
/// # Errors
/// [`Interrupted`].
pub fn check() -> Result<(), Interrupted> {
    received().map_or(Ok(()), Err)
}
