//! How a caller follows long work, and stops it.

use crate::error::{Error, Result};

/// Follows long work, and may stop it.
pub trait ProgressObserver: Sync {
    /// A stage begins, with its total in bytes when known.
    fn stage(&self, name: &str, total: Option<u64>);
    /// `done` more bytes have been processed.
    fn advance(&self, done: u64);
    /// The stage ends.
    fn finish(&self);
    /// Whether to stop. Asked several times a second.
    fn interrupted(&self) -> bool;
}

/// Shows nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl ProgressObserver for Quiet {
    fn stage(&self, _name: &str, _total: Option<u64>) {}
    fn advance(&self, _done: u64) {}
    fn finish(&self) {}
    fn interrupted(&self) -> bool {
        false
    }
}

/// An error if the caller asks to stop.
pub(crate) fn check(observer: &dyn ProgressObserver) -> Result<()> {
    if observer.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
}
