//! Why a masker cannot be made.

/// Knobs that do not fit: which one, its value, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MaskingError(pub(super) String);
