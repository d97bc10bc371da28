//! How long work tells its caller how far it is, and how the caller stops it.

use crate::error::{Error, Result};

/// What long work tells its caller, and how the caller stops it.
pub trait Watch: Sync {
    /// A stage begins: its name and its total in bytes, when known.
    fn stage(&self, _name: &str, _total: Option<u64>) {}
    /// So many bytes more are done.
    fn advance(&self, _done: u64) {}
    /// The stage is over.
    fn finish(&self) {}
    /// Whether to stop. Asked several times a second.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Says nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Watch for Quiet {}

pub(crate) fn check(watch: &dyn Watch) -> Result<()> {
    if watch.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
}
