//! How long work tells its caller how far it is, and how the caller stops it.

use crate::error::{Error, Result};

/// Told how far long work is; asked whether to stop.
pub trait Watch: Sync {
    /// A stage begins: its name and its total in bytes, when known.
    fn stage(&self, name: &str, total: Option<u64>);
    /// So many bytes more are done.
    fn advance(&self, done: u64);
    /// The stage is over.
    fn finish(&self);
    /// Whether to stop. Asked several times a second.
    fn interrupted(&self) -> bool;
}

/// Says nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Watch for Quiet {
    fn stage(&self, _name: &str, _total: Option<u64>) {}
    fn advance(&self, _done: u64) {}
    fn finish(&self) {}
    fn interrupted(&self) -> bool {
        false
    }
}

pub(crate) fn check(watch: &dyn Watch) -> Result<()> {
    if watch.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
}
